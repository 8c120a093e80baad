//! What may lie in shared memory: atomics and structures of them.

use core::sync::atomic::{AtomicU32, AtomicU64};

/// A type that may be looked at in memory which other processes write at will.
///
/// Structures get it from [`shared!`](crate::shared), which checks every field.
///
/// # Safety
/// Every bit pattern is valid, everything inside is an atomic or an array or structure of them,
/// and the layout is `repr(C)`.
pub unsafe trait Shared {}

// SAFETY: an atomic integer.
unsafe impl Shared for AtomicU32 {}
// SAFETY: an atomic integer.
unsafe impl Shared for AtomicU64 {}
// SAFETY: an array is laid out as its elements in a row.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

/// Declares structures that lie in shared memory: `repr(C)`, each field [`Shared`](crate::Shared).
///
/// Works in crates that forbid unsafe code: what it asserts, it checks.
///
/// ```
/// #![forbid(unsafe_code)]
/// use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
///
/// postbox_ring::shared! {
///     /// Two counters, each alone in its cache lines.
///     #[repr(C, align(128))]
///     pub struct Counters {
///         /// How many went in.
///         pub entered: AtomicU64,
///         per_door: [AtomicU32; 4],
///     }
/// }
///
/// let region = postbox_ring::Region::heap(4096);
/// let counters = region.view::<Counters>(128)?;
/// counters.entered.fetch_add(1, Ordering::Relaxed);
/// assert_eq!(region.view::<AtomicU64>(128)?.load(Ordering::Relaxed), 1);
/// # Ok::<(), postbox_ring::OutOfBounds>(())
/// ```
///
/// A field that is no atomic is refused:
///
/// ```compile_fail
/// postbox_ring::shared! {
///     #[repr(C)]
///     struct Wrong { length: u64 }
/// }
/// ```
///
/// and so is a structure without `repr(C)`:
///
/// ```compile_fail
/// postbox_ring::shared! {
///     struct Wrong { length: core::sync::atomic::AtomicU64 }
/// }
/// ```
#[macro_export]
macro_rules! shared {
    ($(
        $(#[doc = $doc:expr])*
        #[repr(C $(, align($align:literal))?)]
        $vis:vis struct $name:ident {
            $($(#[doc = $field_doc:expr])* $field_vis:vis $field:ident : $type:ty),+ $(,)?
        }
    )+) => {$(
        $(#[doc = $doc])*
        #[repr(C $(, align($align))?)]
        $vis struct $name {
            $($(#[doc = $field_doc])* $field_vis $field: $type,)+
        }

        // SAFETY: the pattern demands repr(C), and the assertion below that every field is Shared.
        unsafe impl $crate::Shared for $name {}

        const _: () = {
            const fn shared<T: $crate::Shared>() {}
            $(shared::<$type>();)+
        };
    )+};
}
