use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::*;

#[test]
fn a_view_outside_or_unaligned_is_refused() {
    let region = Region::heap(64);
    assert!(region.view::<AtomicU64>(56).is_ok());
    assert!(region.view::<AtomicU64>(57).is_err());
    assert!(region.view::<AtomicU64>(64).is_err());
    assert!(region.view::<AtomicU64>(usize::MAX - 7).is_err());
    assert!(region.view::<AtomicU64>(4).is_err());
    assert!(region.view::<AtomicU32>(4).is_ok());
    assert!(region.views::<AtomicU64>(0, 8).is_ok());
    assert!(region.views::<AtomicU64>(0, 9).is_err());
    assert!(region.views::<AtomicU64>(0, usize::MAX).is_err());
    assert!(region.strided::<AtomicU64>(0, 2, 32).is_ok());
    assert!(region.strided::<AtomicU64>(0, 3, 32).is_err());
    assert!(region.strided::<AtomicU64>(0, 2, 4).is_err());
    assert!(region.strided::<AtomicU64>(0, 2, 12).is_err());
    assert!(region.strided::<AtomicU64>(0, 2, usize::MAX - 7).is_err());
}

#[test]
fn a_view_keeps_the_memory_after_the_region_is_gone() {
    let region = Region::heap(64);
    let (one, all) =
        (region.view::<AtomicU64>(8).unwrap(), region.views::<AtomicU64>(0, 8).unwrap());
    let strided = region.strided::<AtomicU64>(0, 2, 32).unwrap();
    drop(region);
    one.store(7, Relaxed);
    all[4].store(9, Relaxed);
    assert_eq!(all.clone()[1].load(Relaxed), 7);
    assert_eq!(strided.clone().get(1).unwrap().load(Relaxed), 9);
    assert!(strided.get(2).is_none());
    assert_eq!(one.clone().load(Relaxed), 7);
}

#[test]
fn bytes_come_back_as_they_were_written() {
    let region = Region::heap(16);
    region.write(3, b"hello").unwrap();
    let mut five = [0; 5];
    region.read(3, &mut five).unwrap();
    assert_eq!(&five, b"hello");
    let mut grown = Vec::with_capacity(64);
    grown.push(b'>');
    let before = grown.as_ptr();
    region.read_append(3, 5, &mut grown).unwrap();
    assert_eq!(grown, b">hello");
    assert_eq!(grown.as_ptr(), before);
}

#[test]
fn a_copy_outside_is_refused_and_changes_nothing() {
    let region = Region::heap(16);
    assert_eq!(region.write(12, b"hello"), Err(OutOfBounds));
    assert_eq!(region.write(usize::MAX, b"hello"), Err(OutOfBounds));
    let mut grown = vec![1];
    assert_eq!(region.read_append(16, 1, &mut grown), Err(OutOfBounds));
    assert_eq!(region.read_append(0, usize::MAX, &mut grown), Err(OutOfBounds));
    assert_eq!(grown, [1]);
    let mut all = [9; 16];
    region.read(0, &mut all).unwrap();
    assert_eq!(all, [0; 16]);
    assert_eq!(region.write(16, b""), Ok(()));
}

#[test]
#[cfg(not(miri))]
fn a_mapping_serves_as_a_region() {
    let map = memmap2::MmapMut::map_anon(8192).unwrap().into();
    // SAFETY: anonymous memory never shrinks, and the mapping is given away.
    let region = unsafe { Region::from_mapping(map) };
    region.view::<AtomicU64>(4096).unwrap().store(5, Relaxed);
    let mut byte = [0];
    region.clone().read(4096, &mut byte).unwrap();
    assert_eq!(byte, [5]);
}
