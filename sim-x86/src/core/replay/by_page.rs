//! Places in memory, page by page: the way to a page is looked up once for all of them.

use super::stretch::Place;
use crate::mem::ram::{PAGE_BYTES, Ram};

/// Bytes of a page.
type Page = [u8; PAGE_BYTES];

/// A few bytes of a page, and what belongs to them.
#[derive(Clone, Copy, Debug)]
struct Item<T> {
    at: u16,
    /// Bits of eight bytes from there on that do not count.
    unused: u8,
    what: T,
}

impl<T> Item<T> {
    /// Bits in which the bytes differ from the low ones of `value`.
    #[inline(always)]
    fn difference(&self, page: &Page, value: u64) -> u64 {
        (word(page, self.at) ^ value) << self.unused >> self.unused
    }

    /// Where the bytes lie, on this page.
    fn place(&self, page: usize) -> Place {
        Place::on(page as u32, self.at, 64 - u32::from(self.unused))
    }
}

#[inline(always)]
fn word(page: &Page, at: u16) -> u64 {
    let at = usize::from(at);
    u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"))
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct ByPage<T> {
    /// Number of each page, and how many items lie there.
    pages: Box<[(u32, u32)]>,
    items: Box<[Item<T>]>,
}

impl<T> Default for ByPage<T> {
    fn default() -> Self {
        ByPage { pages: Box::default(), items: Box::default() }
    }
}

impl<T: Copy> ByPage<T> {
    /// Of these places, in this order within each page. `None` if one lies at the end of a page.
    pub(super) fn new(places: impl Iterator<Item = (Place, T)>) -> Option<Self> {
        let mut places: Vec<(Place, T)> = places.collect();
        places.sort_by_key(|(place, _)| place.page());
        let mut pages: Vec<(u32, u32)> = Vec::new();
        let mut items = Vec::new();
        for (place, what) in places {
            match pages.last_mut() {
                Some((page, count)) if *page == place.page() => *count += 1,
                _ => pages.push((place.page(), 1)),
            }
            let at = place.offset();
            if usize::from(at) + 8 > PAGE_BYTES {
                return None;
            }
            items.push(Item { at, unused: (64 - 8 * place.size()) as u8, what });
        }
        Some(ByPage { pages: pages.into(), items: items.into() })
    }

    /// The items of each page.
    #[inline(always)]
    fn runs(&self) -> impl Iterator<Item = (usize, &[Item<T>])> {
        let mut rest = &*self.items;
        self.pages.iter().map(move |&(page, count)| {
            let (items, others) = rest.split_at(count as usize);
            rest = others;
            (page as usize, items)
        })
    }

    /// True if all places hold what `value` says. HOT.
    #[inline]
    pub(super) fn hold(&self, ram: &Ram, value: impl Fn(T) -> u64) -> bool {
        self.runs().all(|(page, items)| {
            let page = ram.page(page);
            items.iter().all(|item| item.difference(page, value(item.what)) == 0)
        })
    }

    /// The places that do not hold what `value` says.
    pub(super) fn others(&self, ram: &Ram, value: impl Fn(T) -> u64) -> Vec<Place> {
        let mut others = Vec::new();
        for (page, items) in self.runs() {
            let bytes = ram.page(page);
            let differing =
                items.iter().filter(|item| item.difference(bytes, value(item.what)) != 0);
            others.extend(differing.map(|item| item.place(page)));
        }
        others
    }

    /// Writes to each place what `value` says. HOT.
    #[inline]
    pub(super) fn write(&self, ram: &mut Ram, value: impl Fn(T) -> u64) {
        for (page, items) in self.runs() {
            let Some(bytes) = ram.own_page(page) else {
                Self::write_shared(ram, page, items, &value);
                continue;
            };
            for item in items {
                let new = word(bytes, item.at) ^ item.difference(bytes, value(item.what));
                let at = usize::from(item.at);
                bytes[at..at + 8].copy_from_slice(&new.to_le_bytes());
            }
        }
    }

    /// On a page that is shared with clones.
    #[cold]
    fn write_shared(ram: &mut Ram, page: usize, items: &[Item<T>], value: impl Fn(T) -> u64) {
        for item in items {
            let place = item.place(page);
            ram.replace(place.addr(), place.size(), value(item.what));
        }
    }
}
