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
fn a_slice_is_written_and_read_within_its_bounds() {
    let region = Region::heap(16);
    assert!(region.slice(17, 0).is_err() && region.slice(16, 1).is_err());
    assert!(region.slice_mut(1, 16).is_err() && region.slice_mut(usize::MAX, 1).is_err());
    let mut slice = region.slice_mut(2, 5).unwrap();
    slice.fill(b'.');
    slice.copy_from(1, b"abc").unwrap();
    assert_eq!(slice.copy_from(3, b"abc"), Err(OutOfBounds));
    assert_eq!(slice.copy_from(usize::MAX, b"abc"), Err(OutOfBounds));
    let slice = region.slice(1, 7).unwrap();
    assert_eq!(slice.to_vec(), b"\0.abc.\0");
    let mut two = [0; 2];
    slice.copy_to(3, &mut two).unwrap();
    assert_eq!(&two, b"bc");
    assert_eq!(slice.copy_to(6, &mut two), Err(OutOfBounds));
    assert_eq!(slice.copy_to(usize::MAX, &mut two), Err(OutOfBounds));
    assert_eq!(&two, b"bc");
    // SAFETY: nobody else has this region.
    assert_eq!(unsafe { slice.as_slice() }, b"\0.abc.\0");
    // SAFETY: as before, and no other slice of it is in use.
    let plain = unsafe { region.slice_mut(15, 1).unwrap().as_mut_slice() };
    plain[0] = 7;
    assert_eq!(region.slice(15, 1).unwrap().to_vec(), [7]);
}

#[test]
fn a_slice_moves_on_as_it_is_written_and_read() {
    use std::io::{Read, Write};
    let region = Region::heap(8);
    let mut slice = region.slice_mut(1, 6).unwrap();
    write!(slice, "{}", 1234).unwrap();
    assert_eq!(slice.len(), 2);
    assert_eq!(slice.write(b"56789").unwrap(), 2);
    assert!(slice.is_empty() && slice.write_all(b"7").is_err());
    let mut slice = region.slice(0, 8).unwrap();
    let mut three = [0; 3];
    slice.read_exact(&mut three).unwrap();
    assert_eq!((&three, slice.len()), (b"\x0012", 5));
    let mut rest = Vec::new();
    slice.read_to_end(&mut rest).unwrap();
    assert!(rest == b"3456\0" && slice.is_empty());
}

#[test]
fn a_buffer_of_ones_own_serves_as_a_slice() {
    let mut own = *b"abc";
    SharedSliceMut::from(&mut own[1..]).copy_from(0, b"x").unwrap();
    assert_eq!(SharedSlice::from(&own[..]).to_vec(), b"axc");
    assert!(SharedSlice::from(&[][..]).to_vec().is_empty());
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
