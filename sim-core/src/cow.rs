//! Copy-on-write arrays: large state that costs next to nothing to fork.
//!
//! What an array has written since it was last frozen belongs to it alone and is written without
//! asking; [`CowArray::freeze`] makes it shareable, after which clones copy pointers only. A clone
//! of an array that was not frozen is right, too, but copies what the array owns.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Chunks under one node of the tree. 64 keeps both levels of a 4 GiB memory of 4 KiB pages small.
const FANOUT: usize = 64;

/// A value that is either this array's own or shared with clones.
///
/// `Arc::make_mut` would do without the distinction, but costs two atomic operations for each
/// store of the machine.
enum Piece<X> {
    Own(Box<X>),
    Shared(Arc<X>),
}

impl<X> Piece<X> {
    #[inline]
    fn get(&self) -> &X {
        match self {
            Piece::Own(own) => own,
            Piece::Shared(shared) => shared,
        }
    }
}

impl<X: Clone> Piece<X> {
    #[inline]
    fn get_mut(&mut self) -> &mut X {
        if let Piece::Shared(shared) = self {
            *self = Piece::Own(Box::new((**shared).clone()));
        }
        match self {
            Piece::Own(own) => own,
            Piece::Shared(_) => unreachable!("made its own above"),
        }
    }
}

impl<X: Clone> Clone for Piece<X> {
    fn clone(&self) -> Self {
        match self {
            Piece::Own(own) => Piece::Shared(Arc::new((**own).clone())),
            Piece::Shared(shared) => Piece::Shared(Arc::clone(shared)),
        }
    }
}

type Chunk<T, const N: usize> = Option<Piece<[T; N]>>;
type Node<T, const N: usize> = Option<Piece<[Chunk<T, N>; FANOUT]>>;

/// A fixed-length array of `N`-element chunks, shared between clones until written.
///
/// Elements start as `T::default()`; chunks that were never written take no memory. `clone` of a
/// frozen array copies one pointer per 64 chunks.
#[derive(Clone)]
pub struct CowArray<T: Clone, const N: usize> {
    /// As many as reach to the last one written, so that a clone does not copy a long tail of
    /// nothing.
    nodes: Vec<Node<T, N>>,
    len: usize,
    zero: Arc<[T; N]>,
}

impl<T: Copy + Default, const N: usize> CowArray<T, N> {
    /// An array of at least `len` default elements (rounded up to whole chunks).
    #[must_use]
    pub fn new(len: usize) -> Self {
        let chunks = len.div_ceil(N);
        CowArray { nodes: Vec::new(), len: chunks * N, zero: Arc::new([T::default(); N]) }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True for an array of no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunk of elements `index * N ..`; defaults beyond the array.
    #[inline(always)]
    #[must_use]
    pub fn chunk(&self, index: usize) -> &[T; N] {
        match self.nodes.get(index / FANOUT) {
            Some(Some(node)) => match &node.get()[index % FANOUT] {
                Some(chunk) => chunk.get(),
                None => &self.zero,
            },
            Some(None) | None => &self.zero,
        }
    }

    /// The chunk of elements `index * N ..` for writing; made this clone's own first.
    ///
    /// # Panics
    /// If `index` lies beyond the array.
    #[inline]
    pub fn chunk_mut(&mut self, index: usize) -> &mut [T; N] {
        if !self.owns(index) {
            self.make_own(index);
        }
        match &mut self.nodes[index / FANOUT] {
            Some(Piece::Own(node)) => match &mut node[index % FANOUT] {
                Some(Piece::Own(chunk)) => chunk,
                Some(Piece::Shared(_)) | None => unreachable!("made its own above"),
            },
            Some(Piece::Shared(_)) | None => unreachable!("made its own above"),
        }
    }

    /// The chunk of elements `index * N ..` for writing, if nobody shares it.
    #[inline(always)]
    #[must_use]
    pub fn own_chunk(&mut self, index: usize) -> Option<&mut [T; N]> {
        match self.nodes.get_mut(index / FANOUT) {
            Some(Some(Piece::Own(node))) => match &mut node[index % FANOUT] {
                Some(Piece::Own(chunk)) => Some(chunk),
                Some(Piece::Shared(_)) | None => None,
            },
            _ => None,
        }
    }

    #[inline(always)]
    fn owns(&self, index: usize) -> bool {
        match self.nodes.get(index / FANOUT) {
            Some(Some(Piece::Own(node))) => matches!(node[index % FANOUT], Some(Piece::Own(_))),
            _ => false,
        }
    }

    /// Far from the hot paths, which need no room on the stack for a chunk.
    #[cold]
    #[inline(never)]
    fn make_own(&mut self, index: usize) {
        if index / FANOUT >= self.nodes.len() {
            assert!(index < self.len / N, "chunk {index} of {}", self.len / N);
            self.nodes.resize_with(index / FANOUT + 1, || None);
        }
        let node = self.nodes[index / FANOUT]
            .get_or_insert_with(|| Piece::Own(Box::new([const { None }; FANOUT])));
        let chunk = node.get_mut()[index % FANOUT]
            .get_or_insert_with(|| Piece::Own(Box::new([T::default(); N])));
        chunk.get_mut();
    }

    /// Makes everything shareable, so that clones copy pointers only. Changes no element.
    pub fn freeze(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            let Piece::Own(chunks) = node else { continue };
            for chunk in chunks.iter_mut().flatten() {
                if let Piece::Own(own) = chunk {
                    *chunk = Piece::Shared(Arc::new(**own));
                }
            }
            let chunks = std::mem::replace(&mut **chunks, [const { None }; FANOUT]);
            *node = Piece::Shared(Arc::new(chunks));
        }
    }

    /// Indices of the chunks that were ever written, ascending.
    pub fn written(&self) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().flat_map(|(n, node)| {
            let chunks = node.iter().flat_map(|node| node.get().iter().enumerate());
            chunks.filter_map(move |(c, chunk)| chunk.as_ref().map(|_| n * FANOUT + c))
        })
    }

    /// Bytes held by written chunks, shared or not.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.written().count() * size_of::<[T; N]>()
    }
}

impl<T: Copy + Default + PartialEq, const N: usize> PartialEq for CowArray<T, N> {
    /// Equal contents; an unwritten chunk equals one full of defaults.
    fn eq(&self, other: &Self) -> bool {
        let same = |index: usize| {
            let (a, b) = (self.chunk(index), other.chunk(index));
            std::ptr::eq(a, b) || a == b
        };
        self.len == other.len && self.written().chain(other.written()).all(same)
    }
}

impl<T: Copy + Default, const N: usize> fmt::Debug for CowArray<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunks = self.written().count();
        write!(f, "CowArray({chunks} of {} chunks written)", self.len / N)
    }
}

impl<T: Copy + Default + PartialEq + Serialize, const N: usize> Serialize for CowArray<T, N> {
    /// Chunks full of defaults are left out, written or not: equal arrays serialise alike.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let chunks: Vec<(usize, &[T])> = self
            .written()
            .map(|index| (index, self.chunk(index).as_slice()))
            .filter(|(_, chunk)| *chunk != self.zero.as_slice())
            .collect();
        (self.len, chunks).serialize(serializer)
    }
}

impl<'de, T: Copy + Default + Deserialize<'de>, const N: usize> Deserialize<'de>
    for CowArray<T, N>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (len, chunks) = <(usize, Vec<(usize, Vec<T>)>)>::deserialize(deserializer)?;
        let mut array = CowArray::new(len);
        for (index, elements) in chunks {
            if (index + 1) * N > array.len || elements.len() != N {
                return Err(serde::de::Error::custom("chunk out of range"));
            }
            array.chunk_mut(index).copy_from_slice(&elements);
        }
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_does_not_see_later_writes() {
        let mut a: CowArray<u8, 16> = CowArray::new(10_000);
        a.chunk_mut(3)[5] = 7;
        let early = a.clone();
        a.freeze();
        let b = a.clone();
        assert_eq!(a, b);
        assert_eq!(early, b);
        a.chunk_mut(3)[5] = 8;
        assert_eq!(b.chunk(3)[5], 7);
        assert_eq!(early.chunk(3)[5], 7);
        assert_ne!(a, b);
        a.chunk_mut(3)[5] = 7;
        assert_eq!(a, b);
        assert_eq!(a.written().collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn unwritten_equals_default() {
        let mut a: CowArray<u64, 4> = CowArray::new(64);
        let b = a.clone();
        a.chunk_mut(9)[0] = 0;
        assert_eq!(a, b);
        assert_eq!(b.bytes(), 0);
    }
}
