//! Memory of an emitted program: the arena, overlapping views of it, and weights; no arithmetic.
//!
//! The only unsafe code of the crate besides the assembly in `dsp_asm`. Offsets and lengths are
//! const parameters, so the checks that make views sound happen while the program is compiled:
//! a view out of range or misaligned does not compile.

use core::cell::Cell;
use core::sync::atomic::{Ordering, compiler_fence};

/// Element type of tensors and weights: an integer of 8 to 64 bits, `f32` or `f64`.
///
/// # Safety
/// Every bit pattern must be a value of the type, and the type must have no padding and an
/// alignment of at most 8.
pub unsafe trait Element: Copy + Default {}

// SAFETY: a number, every bit pattern is one; alignment 1.
unsafe impl Element for i8 {}
// SAFETY: a number, every bit pattern is one; alignment 1.
unsafe impl Element for u8 {}
// SAFETY: a number, every bit pattern is one; alignment at most 2.
unsafe impl Element for i16 {}
// SAFETY: a number, every bit pattern is one; alignment at most 2.
unsafe impl Element for u16 {}
// SAFETY: a number, every bit pattern is one; alignment at most 4.
unsafe impl Element for i32 {}
// SAFETY: a number, every bit pattern is one; alignment at most 4.
unsafe impl Element for u32 {}
// SAFETY: a number, every bit pattern is one; alignment at most 8.
unsafe impl Element for i64 {}
// SAFETY: a number, every bit pattern is one; alignment at most 8.
unsafe impl Element for u64 {}
// SAFETY: a number, every bit pattern is one (NaNs keep their bits in memory); alignment at most 4.
unsafe impl Element for f32 {}
// SAFETY: a number, every bit pattern is one (NaNs keep their bits in memory); alignment at most 8.
unsafe impl Element for f64 {}

/// Whether `i` is in `0..len`: one unsigned comparison. The detour over u64 keeps large indices
/// large on 16-bit CPUs.
#[inline(always)]
const fn is_index(i: i32, len: usize) -> bool {
    (i.cast_unsigned() as u64) < len as u64
}

/// Ends the compilation unless a tensor lies within its memory.
const fn check_range(inside: bool) {
    assert!(inside, "beyond the memory");
}

/// Ends the compilation unless elements at an offset of memory of an alignment are aligned.
const fn check_alignment(offset: usize, element: usize, memory: usize) {
    assert!(offset.is_multiple_of(element), "misaligned offset");
    assert!(element <= memory, "alignment above that of the memory");
}

/// Working memory of a model: inputs, activations and outputs, at offsets the compiler planned.
///
/// Aligned to 8 bytes, all zero at first. Nothing has to be kept between two invocations except
/// what the caller wants to read. A `static` costs RAM only; a local variable costs stack.
#[repr(C, align(8))]
pub struct Arena<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Arena<BYTES> {
    /// An arena of zeros, usable as the initial value of a `static`.
    pub const fn new() -> Self {
        Self([0; BYTES])
    }

    /// All bytes.
    #[inline(always)]
    pub const fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// All bytes, to write.
    #[inline(always)]
    pub fn bytes_mut(&mut self) -> &mut [u8; BYTES] {
        &mut self.0
    }

    /// The `LEN` elements from byte `OFFSET` on. Out of range or misaligned: does not compile.
    #[inline(always)]
    pub fn tensor<T: Element, const OFFSET: usize, const LEN: usize>(&self) -> &[T; LEN] {
        const { check_range(OFFSET + LEN * size_of::<T>() <= BYTES) }
        const { check_alignment(OFFSET, align_of::<T>(), align_of::<Self>()) }
        // SAFETY: in range and aligned by the assertions; the bytes are initialised and every
        // bit pattern is a T; the reference has the lifetime of the borrow it comes from.
        unsafe { &*self.0.as_ptr().add(OFFSET).cast::<[T; LEN]>() }
    }

    /// [`tensor`](Self::tensor), to write.
    #[inline(always)]
    pub fn tensor_mut<T: Element, const OFFSET: usize, const LEN: usize>(
        &mut self,
    ) -> &mut [T; LEN] {
        const { check_range(OFFSET + LEN * size_of::<T>() <= BYTES) }
        const { check_alignment(OFFSET, align_of::<T>(), align_of::<Self>()) }
        // SAFETY: as in `tensor`; the borrow is exclusive, and a T has no padding, so the bytes
        // stay initialised.
        unsafe { &mut *self.0.as_mut_ptr().add(OFFSET).cast::<[T; LEN]>() }
    }

    /// The arena as shared memory, from which overlapping views can be taken.
    #[inline(always)]
    pub fn share(&mut self) -> Share<'_, BYTES> {
        Share(Cell::from_mut(self))
    }

    /// Overwrites every byte with zero in a way that is not optimised out.
    pub fn zeroise(&mut self) {
        let words: *mut u32 = core::ptr::from_mut(self).cast();
        let mut i = 0;
        while i < size_of::<Self>() / size_of::<u32>() {
            // SAFETY: the size is a multiple of the alignment, 8, hence of whole words; the
            // pointer comes from an exclusive borrow of all of them, padding included.
            unsafe { words.add(i).write_volatile(0) };
            i += 1;
        }
        compiler_fence(Ordering::SeqCst);
    }
}

impl<const BYTES: usize> Default for Arena<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// An exclusively borrowed arena whose parts may be viewed several times and at once.
#[derive(Clone, Copy)]
pub struct Share<'a, const BYTES: usize>(&'a Cell<Arena<BYTES>>);

impl<'a, const BYTES: usize> Share<'a, BYTES> {
    /// The `LEN` elements from byte `OFFSET` on. Out of range or misaligned: does not compile.
    #[inline(always)]
    pub fn view<T: Element, const OFFSET: usize, const LEN: usize>(self) -> View<'a, T, LEN> {
        const { check_range(OFFSET + LEN * size_of::<T>() <= BYTES) }
        const { check_alignment(OFFSET, align_of::<T>(), align_of::<Arena<BYTES>>()) }
        // SAFETY: in range and aligned by the assertions; the memory is inside a Cell, as the
        // elements of the view are, so views may overlap; all of it is initialised, every bit
        // pattern is a T, and a T has no padding, so it stays initialised. Cells are not Sync:
        // no other thread has a view.
        View(unsafe { &*self.0.as_ptr().cast::<u8>().add(OFFSET).cast::<[Cell<T>; LEN]>() })
    }
}

/// `LEN` elements of an arena; a copy is a second view of the same memory.
#[derive(Clone, Copy)]
pub struct View<'a, T, const LEN: usize>(&'a [Cell<T>; LEN]);

impl<T: Element, const LEN: usize> View<'_, T, LEN> {
    /// Element `i`, unchecked.
    ///
    /// # Safety
    /// `i` is in `0..LEN`.
    #[inline(always)]
    pub unsafe fn at(self, i: i32) -> T {
        debug_assert!(is_index(i, LEN), "index out of range");
        // SAFETY: the caller keeps `i` in range.
        unsafe { self.0.get_unchecked(i as usize) }.get()
    }

    /// Writes element `i`, unchecked.
    ///
    /// # Safety
    /// `i` is in `0..LEN`.
    #[inline(always)]
    pub unsafe fn put(self, i: i32, value: T) {
        debug_assert!(is_index(i, LEN), "index out of range");
        // SAFETY: the caller keeps `i` in range.
        unsafe { self.0.get_unchecked(i as usize) }.set(value);
    }

    /// The four bytes from element `i` on as one word in the byte order of the CPU, unchecked;
    /// no alignment needed.
    ///
    /// # Safety
    /// `i` is at least 0 and the four bytes lie within the view.
    #[inline(always)]
    pub unsafe fn word(self, i: i32) -> u32 {
        let last = LEN as i64 - size_of::<u32>().div_ceil(size_of::<T>()) as i64;
        debug_assert!(i >= 0 && i as i64 <= last, "word out of range");
        // SAFETY: the caller keeps all four bytes in range; cells are read by this thread only.
        unsafe { self.as_ptr().add(i as usize).cast::<u32>().read_unaligned() }
    }

    /// Element `i`, or zero outside of the view.
    #[inline(always)]
    pub fn get(self, i: i32) -> T {
        if is_index(i, LEN) {
            // SAFETY: just checked.
            unsafe { self.0.get_unchecked(i.cast_unsigned() as usize) }.get()
        } else {
            T::default()
        }
    }

    /// Writes element `i`; does nothing outside of the view.
    #[inline(always)]
    pub fn set(self, i: i32, value: T) {
        if is_index(i, LEN) {
            // SAFETY: just checked.
            unsafe { self.0.get_unchecked(i.cast_unsigned() as usize) }.set(value);
        }
    }

    /// Address of the first element, valid for reads of all of them.
    #[inline(always)]
    pub fn as_ptr(self) -> *const T {
        self.0.as_ptr().cast()
    }
}

/// Constants of a kernel, aligned to a word at least.
#[repr(C, align(4))]
pub struct Weights<T, const LEN: usize>(pub [T; LEN]);

impl<T: Element, const LEN: usize> Weights<T, LEN> {
    /// Element `i`, unchecked.
    ///
    /// # Safety
    /// `i` is in `0..LEN`.
    #[inline(always)]
    pub unsafe fn at(&self, i: i32) -> T {
        debug_assert!(is_index(i, LEN), "index out of range");
        // SAFETY: the caller keeps `i` in range.
        unsafe { *self.0.get_unchecked(i as usize) }
    }

    /// The four bytes from element `i` on as one word in the byte order of the CPU, unchecked;
    /// no alignment needed.
    ///
    /// # Safety
    /// `i` is at least 0 and the four bytes lie within the elements.
    #[inline(always)]
    pub unsafe fn word(&self, i: i32) -> u32 {
        let last = LEN as i64 - size_of::<u32>().div_ceil(size_of::<T>()) as i64;
        debug_assert!(i >= 0 && i as i64 <= last, "word out of range");
        // SAFETY: the caller keeps all four bytes in range.
        unsafe { self.as_ptr().add(i as usize).cast::<u32>().read_unaligned() }
    }

    /// Element `i`, or zero outside.
    #[inline(always)]
    pub fn get(&self, i: i32) -> T {
        if is_index(i, LEN) {
            // SAFETY: just checked.
            unsafe { *self.0.get_unchecked(i.cast_unsigned() as usize) }
        } else {
            T::default()
        }
    }

    /// The `LEN` little-endian elements from byte `OFFSET` of a file on, copied while compiling:
    /// `static W: Weights<i8, 4096> = Weights::cut::<0, N>(include_bytes!("kws.weights"));`
    /// Out of range, or for a big-endian CPU: does not compile.
    pub const fn cut<const OFFSET: usize, const BYTES: usize>(file: &[u8; BYTES]) -> Self {
        const { check_range(OFFSET + LEN * size_of::<T>() <= BYTES) }
        const { assert!(cfg!(target_endian = "little"), "the file holds little-endian data") }
        // SAFETY: in range by the assertion, every bit pattern is a T, no alignment is needed.
        Self(unsafe { file.as_ptr().add(OFFSET).cast::<[T; LEN]>().read_unaligned() })
    }

    /// Address of the first element, valid for reads of all of them.
    #[inline(always)]
    pub const fn as_ptr(&self) -> *const T {
        self.0.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_views_see_each_others_writes() {
        let mut arena = Arena::<16>::new();
        let share = arena.share();
        let bytes = share.view::<u8, 0, 16>();
        let (halves, words) = (share.view::<i16, 2, 3>(), share.view::<u32, 4, 3>());
        let (wide, same) = (share.view::<i64, 8, 1>(), bytes);
        // SAFETY: in range.
        unsafe { halves.put(2, -2) };
        assert_eq!([bytes.get(6), same.get(7)], (-2i16).to_ne_bytes());
        bytes.set(4, 7);
        same.set(5, 7);
        // SAFETY: in range.
        assert_eq!(unsafe { (halves.at(1), words.at(0)) }, (0x0707, pair(0x0707, 0xFFFE)));
        wide.set(0, -1);
        assert_eq!((words.get(1), words.get(2)), (u32::MAX, u32::MAX));
        words.set(2, 0);
        assert_eq!(wide.get(0).count_ones(), 32);
        assert_eq!(arena.bytes()[8..].iter().filter(|&&b| b == 0xFF).count(), 4);
    }

    /// Two halves in address order as a word.
    fn pair(first: u16, second: u16) -> u32 {
        let (a, b) = (first.to_ne_bytes(), second.to_ne_bytes());
        u32::from_ne_bytes([a[0], a[1], b[0], b[1]])
    }

    #[test]
    fn every_element_type_keeps_its_values() {
        let mut arena = Arena::<48>::default();
        *arena.tensor_mut::<i8, 1, 3>() = [-128, 127, -1];
        *arena.tensor_mut::<i16, 4, 2>() = [i16::MIN, 5];
        *arena.tensor_mut::<i32, 8, 2>() = [i32::MIN, 6];
        *arena.tensor_mut::<i64, 16, 2>() = [i64::MIN, 7];
        *arena.tensor_mut::<f32, 32, 2>() = [-0.0, f32::NEG_INFINITY];
        *arena.tensor_mut::<u32, 40, 1>() = [u32::MAX];
        *arena.tensor_mut::<u8, 47, 1>() = [9];
        assert_eq!(arena.tensor::<i8, 0, 4>(), &[0, -128, 127, -1]);
        assert_eq!(arena.tensor::<i16, 4, 2>(), &[i16::MIN, 5]);
        assert_eq!(arena.tensor::<i32, 8, 2>(), &[i32::MIN, 6]);
        assert_eq!(arena.tensor::<i64, 16, 2>(), &[i64::MIN, 7]);
        assert_eq!(arena.tensor::<f32, 32, 2>().map(f32::to_bits), [1 << 31, 0xFF80_0000]);
        assert_eq!(arena.tensor::<u32, 40, 1>(), &[u32::MAX]);
        let share = arena.share();
        assert_eq!(share.view::<f32, 32, 2>().get(1), f32::NEG_INFINITY);
        share.view::<i64, 24, 1>().set(0, -7);
        assert_eq!((arena.bytes_mut()[47], arena.tensor::<i64, 24, 1>()), (9, &[-7]));
    }

    #[test]
    fn outside_reads_zero_and_writes_nothing() {
        static WEIGHTS: Weights<i16, 3> = Weights([1, -2, 3]);
        let mut arena = Arena::<8>([5; 8]);
        let view = arena.share().view::<i8, 2, 3>();
        for i in [-1, 3, 4, 65_536, -65_536, i32::MIN, i32::MAX] {
            view.set(i, 9);
            assert_eq!((view.get(i), WEIGHTS.get(i)), (0, 0), "{i}");
        }
        view.set(2, 9);
        assert_eq!((view.get(0), view.get(2), WEIGHTS.get(2)), (5, 9, 3));
        assert_eq!(arena.bytes(), &[5, 5, 5, 5, 9, 5, 5, 5]);
        assert_eq!(arena.share().view::<i32, 8, 0>().get(0), 0);
    }

    #[test]
    fn words_start_at_any_element() {
        static WEIGHTS: Weights<i8, 7> = Weights([1, 2, 3, 4, -5, 6, 7]);
        let mut arena = Arena::<8>([0, 1, 2, 3, 4, 0xFB, 6, 7]);
        let (bytes, halves) = {
            let share = arena.share();
            (share.view::<i8, 1, 7>(), share.view::<i16, 2, 3>())
        };
        // SAFETY: the last word ends with the last element.
        let words = unsafe { [bytes.word(0), WEIGHTS.word(0), bytes.word(3), WEIGHTS.word(3)] };
        let low = u32::from_ne_bytes([1, 2, 3, 4]);
        let high = u32::from_ne_bytes([4, 0xFB, 6, 7]);
        assert_eq!(words, [low, low, high, high]);
        // SAFETY: the last word ends with the last element.
        assert_eq!(unsafe { (halves.word(1), WEIGHTS.at(4)) }, (high, -5));
        assert_eq!(WEIGHTS.as_ptr().align_offset(4), 0);
        assert_eq!(bytes.as_ptr().wrapping_add(1).cast(), halves.as_ptr());
    }

    #[test]
    fn weights_are_cut_from_files() {
        const FILE: &[u8; 29] = &[
            0xFE, 0xFF, 3, 0, 4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0,
            0x80, 0x3F, 0, 0, 0, 0xC0, 1, 2, 3, 4, 0x80,
        ];
        static HALVES: Weights<i16, 3> = Weights::cut::<0, 29>(FILE);
        assert_eq!(HALVES.0, [-2, 3, 4]);
        assert_eq!(Weights::<i32, 1>::cut::<4, 29>(FILE).0, [4]);
        assert_eq!(Weights::<i64, 1>::cut::<8, 29>(FILE).0, [i64::MAX]);
        assert_eq!(Weights::<f32, 2>::cut::<16, 29>(FILE).0, [1.0, -2.0]);
        assert_eq!(Weights::<i8, 5>::cut::<24, 29>(FILE).0, [1, 2, 3, 4, -128]);
        assert_eq!(Weights::<i16, 2>::cut::<25, 29>(FILE).0, [0x302, -0x7FFC]);
    }

    #[test]
    fn zeroise_clears_every_byte() {
        let mut arena = Arena::<13>([0xA5; 13]);
        assert_eq!(align_of::<Arena<13>>(), 8);
        arena.zeroise();
        assert_eq!(arena.bytes(), &[0; 13]);
    }
}
