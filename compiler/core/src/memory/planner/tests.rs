//! Tests of the offset planner: properties against brute force, network-like chains, hard cases
//! that defeat every greedy order, and limits.

use super::*;
use proptest::prelude::*;

fn request(size: usize, align: usize, first: usize, last: usize) -> Request {
    Request { size, align, first, last }
}

/// Places with the default budget and checks what must hold for every placement.
fn placed(requests: &[Request]) -> Placement {
    let placement = place(requests, Budget::default()).unwrap();
    assert_eq!(check(requests, &placement), Ok(()));
    assert!(placement.lower_bound <= placement.size);
    assert_eq!(placement.lower_bound, lower_bound(requests));
    placement
}

/// Optimal arena size: every order, each buffer at the lowest free offset. Some order lists an
/// optimal solution by offset and reproduces it.
fn brute_force(requests: &[Request]) -> usize {
    let unit = common_alignment(requests);
    let mut order: Vec<usize> = (0..requests.len()).filter(|&i| requests[i].size > 0).collect();
    let mut best = usize::MAX;
    permute(&mut order, 0, &mut |order| {
        let mut done: Vec<(usize, usize)> = Vec::new();
        let mut top = 0;
        for &i in order {
            let r = requests[i];
            let mut at = 0;
            // Restart after every push upwards until nothing overlaps.
            while let Some(end) = done.iter().find_map(|&(j, offset)| {
                let o = requests[j];
                let clash = r.first <= o.last && o.first <= r.last;
                (clash && at < offset + o.size && offset < at + r.size).then_some(offset + o.size)
            }) {
                at = end.next_multiple_of(r.align.max(1));
            }
            done.push((i, at));
            top = top.max(at + r.size);
        }
        best = best.min(top.next_multiple_of(unit));
    });
    best
}

fn permute(order: &mut [usize], fixed: usize, visit: &mut dyn FnMut(&[usize])) {
    if fixed >= order.len() {
        visit(order);
    }
    for next in fixed..order.len() {
        order.swap(fixed, next);
        permute(order, fixed + 1, visit);
        order.swap(fixed, next);
    }
}

/// Deterministic generator of test data (the 64-bit LCG of Knuth's MMIX).
struct Lcg(u64);

impl Lcg {
    /// A number in `low..=high`.
    fn pick(&mut self, low: usize, high: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        low + ((self.0 >> 33) as usize) % (high - low + 1)
    }
}

/// Cuts a rectangle of `height` bytes and `steps` steps into about `count` buffers without waste:
/// the lower bound is `height` and is attained.
fn guillotine(rng: &mut Lcg, height: usize, steps: usize, count: usize) -> Vec<Request> {
    let mut pieces = vec![(height, 0, steps - 1)];
    for _ in 0..count * 20 {
        if pieces.len() >= count {
            break;
        }
        let i = rng.pick(0, pieces.len() - 1);
        let (size, first, last) = pieces[i];
        if rng.pick(0, 1) == 0 && size > 1 {
            let cut = rng.pick(1, size - 1);
            pieces[i] = (cut, first, last);
            pieces.push((size - cut, first, last));
        } else if last > first {
            let cut = rng.pick(first, last - 1);
            pieces[i] = (size, first, cut);
            pieces.push((size, cut + 1, last));
        }
    }
    pieces.into_iter().map(|(size, first, last)| request(size, 1, first, last)).collect()
}

/// Height of the best greedy order, in bytes, over all groups.
fn greedy_size(requests: &[Request]) -> usize {
    place(requests, Budget { work: 0 }).unwrap().size
}

/// Requests of a chain of layers: tensor `i` is written in step `i` and read in step `i + 1`.
fn chain(sizes: &[usize]) -> Vec<Request> {
    sizes.iter().enumerate().map(|(i, &size)| request(size, 16, i, i + 1)).collect()
}

/// Arena of the largest-first order alone, the fallback other runtimes use.
fn largest_first(requests: &[Request]) -> usize {
    let (unit, groups) = prepare(requests).unwrap();
    let heights = groups.iter().map(|group| {
        let mut order: Vec<usize> = (0..group.items.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(group.items[i].size), i));
        greedy::first_fit(&group.items, &order).height
    });
    heights.max().unwrap_or(0) * unit
}

/// Requests from (size, first, last), without alignment.
fn bytes(list: &[(usize, usize, usize)]) -> Vec<Request> {
    list.iter().map(|&(size, first, last)| request(size, 1, first, last)).collect()
}

/// Up to `count` requests with small numbers, where ties and near misses are frequent.
fn small(count: usize, aligns: &'static [usize]) -> impl Strategy<Value = Vec<Request>> {
    let one = (0usize..=9, prop::sample::select(aligns), 0usize..8, 0usize..5);
    let one = one.prop_map(|(size, align, first, life)| request(size, align, first, first + life));
    prop::collection::vec(one, 0..=count)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(192))]

    #[test]
    fn equals_brute_force_unaligned(requests in small(7, &[1])) {
        let placement = placed(&requests);
        prop_assert!(placement.proven_optimal);
        prop_assert_eq!(placement.size, brute_force(&requests));
    }

    #[test]
    fn equals_brute_force_mixed_alignment(requests in small(6, &[0, 1, 2, 3, 4, 8])) {
        let placement = placed(&requests);
        prop_assert!(placement.proven_optimal);
        prop_assert_eq!(placement.size, brute_force(&requests));
    }

    #[test]
    fn larger_sets_are_valid_and_no_worse_than_greedy(
        requests in small(40, &[1, 4, 16]),
        work in 0u64..200_000,
    ) {
        let placement = place(&requests, Budget { work }).unwrap();
        prop_assert_eq!(check(&requests, &placement), Ok(()));
        prop_assert!(placement.size <= greedy_size(&requests));
        prop_assert!(placement.size >= placement.lower_bound);
        prop_assert_eq!(&placement, &place(&requests, Budget { work }).unwrap());
    }

    #[test]
    fn any_numbers_give_an_answer_or_an_error(
        list in prop::collection::vec((any::<usize>(), any::<usize>(), 0usize..9, 0usize..9), 0..8),
        shift in 0u32..64,
    ) {
        let list = list.iter().map(|&(s, a, f, l)| request(s >> (shift % usize::BITS), a, f, l));
        let requests: Vec<Request> = list.collect();
        let _ = lower_bound(&requests);
        match place(&requests, Budget { work: 10_000 }) {
            Ok(placement) => prop_assert_eq!(check(&requests, &placement), Ok(())),
            Err(PlaceError::EmptyInterval { index }) => {
                prop_assert!(requests[index].first > requests[index].last);
            }
            Err(PlaceError::TooLarge) => {
                let total: u128 =
                    requests.iter().map(|r| r.size as u128 + 2 * r.align as u128).sum();
                prop_assert!(total > usize::MAX as u128 / 4);
            }
        }
    }
}

#[test]
fn chain_needs_its_largest_adjacent_pair() {
    // Activations of MobileNetV1 0.25 at 96 x 96, input first.
    let sizes = [
        27648, 18432, 18432, 36864, 9216, 18432, 18432, 18432, 4608, 9216, 9216, 9216, 2304, 4608,
        4608, 4608, 1152, 2304, 2304, 2304, 256, 2,
    ];
    let requests = chain(&sizes);
    let placement = placed(&requests);
    assert_eq!((placement.size, placement.proven_optimal), (55296, true));
    assert_eq!(largest_first(&requests), 64512);
}

#[test]
fn largest_first_loses_a_quarter() {
    let requests = chain(&[27648, 9216, 9216, 27648]);
    assert_eq!(largest_first(&requests), 46080);
    let placement = placed(&requests);
    assert_eq!((placement.size, placement.proven_optimal), (36864, true));
}

#[test]
fn search_reaches_the_bound_where_every_greedy_order_fails() {
    let cases: [&[(usize, usize, usize)]; 5] = [
        &[(2, 0, 3), (4, 0, 0), (5, 5, 6), (3, 5, 6), (6, 0, 4), (4, 1, 6), (2, 4, 4)],
        &[(4, 0, 3), (2, 0, 1), (4, 2, 6), (6, 0, 1), (4, 4, 6), (4, 2, 4), (4, 5, 6)],
        &[(2, 0, 2), (2, 0, 0), (3, 1, 6), (1, 3, 6), (4, 0, 2), (4, 0, 0), (5, 3, 6), (3, 1, 6)],
        &[
            (9, 0, 0),
            (3, 0, 6),
            (4, 2, 2),
            (3, 2, 3),
            (5, 3, 6),
            (9, 1, 1),
            (3, 4, 6),
            (1, 3, 6),
            (2, 2, 2),
        ],
        &[
            (4, 0, 5),
            (5, 0, 4),
            (2, 0, 0),
            (2, 2, 6),
            (1, 1, 1),
            (4, 6, 6),
            (2, 5, 5),
            (2, 6, 6),
            (4, 6, 6),
            (1, 0, 4),
            (4, 5, 5),
            (1, 1, 1),
        ],
    ];
    for case in cases {
        let requests = bytes(case);
        assert!(greedy_size(&requests) > 12, "{case:?}");
        let placement = placed(&requests);
        assert_eq!((placement.size, placement.proven_optimal), (12, true), "{case:?}");
        assert!(placement.nodes > 0, "{case:?}");
    }
}

#[test]
fn exhausted_search_proves_an_optimum_above_the_bound() {
    let requests =
        bytes(&[(4, 0, 1), (1, 1, 2), (4, 4, 5), (2, 2, 3), (2, 1, 3), (4, 0, 0), (4, 3, 4)]);
    assert_eq!(brute_force(&requests), 9);
    let placement = placed(&requests);
    assert_eq!((placement.lower_bound, placement.size, placement.proven_optimal), (8, 9, true));
    // Without search the same size is reached, but nothing shows that 8 is impossible.
    let unproven = place(&requests, Budget { work: 0 }).unwrap();
    assert_eq!((unproven.size, unproven.proven_optimal), (9, false));
}

#[test]
fn waste_free_packings_of_thirty_are_solved() {
    let mut rng = Lcg(30);
    let mut searched = 0;
    for _ in 0..10 {
        let requests = guillotine(&mut rng, 200, 15, 30);
        let placement = placed(&requests);
        assert_eq!((placement.size, placement.proven_optimal), (200, true));
        searched += u32::from(placement.nodes > 0);
    }
    assert!(searched > 0, "greedy orders alone solved everything: the data is too easy");
}

#[test]
fn three_hundred_buffers_stay_within_the_default_budget() {
    let mut rng = Lcg(300);
    let branchy: Vec<Request> = (0..300)
        .map(|_| {
            let first = rng.pick(0, 99);
            request(rng.pick(1, 40_000), 16, first, (first + rng.pick(0, 10)).min(99))
        })
        .collect();
    for requests in [branchy, guillotine(&mut rng, 100_000, 200, 300)] {
        let placement = placed(&requests);
        assert!(placement.size <= greedy_size(&requests));
        assert!(placement.size <= placement.lower_bound * 5 / 4);
    }
}

#[test]
fn groups_apart_in_time_share_the_arena() {
    // A hard group below the height of an easy one needs no search at all.
    let hard = [(2, 0, 3), (4, 0, 0), (5, 5, 6), (3, 5, 6), (6, 0, 4), (4, 1, 6), (2, 4, 4)];
    let mut requests = bytes(&hard);
    requests.push(request(20, 1, 9, 9));
    let placement = placed(&requests);
    assert_eq!((placement.size, placement.proven_optimal, placement.nodes), (20, true, 0));
}

#[test]
fn empty_and_zero_sized_requests() {
    let nothing = placed(&[]);
    assert_eq!((nothing.size, nothing.proven_optimal), (0, true));
    let requests = [request(0, 64, 0, 9), request(5, 4, 0, 9), request(0, 0, 3, 3)];
    let placement = placed(&requests);
    // Five bytes are rounded up to the alignment.
    assert_eq!((placement.offsets, placement.size), (vec![0, 0, 0], 8));
}

#[test]
fn intervals_are_closed() {
    assert_eq!(placed(&bytes(&[(3, 0, 1), (5, 1, 2)])).size, 8);
    assert_eq!(placed(&bytes(&[(3, 0, 1), (5, 2, 2)])).size, 5);
}

#[test]
fn impossible_requests_are_errors() {
    let reversed = [request(1, 1, 0, 0), request(1, 1, 2, 1)];
    assert_eq!(place(&reversed, Budget::default()), Err(PlaceError::EmptyInterval { index: 1 }));
    for size in [usize::MAX, usize::MAX / 2 + 1, usize::MAX / 8] {
        let huge = [request(size, 1, 0, 0), request(size, 1, 0, 0), request(size, 1, 0, 0)];
        assert_eq!(place(&huge, Budget::default()), Err(PlaceError::TooLarge));
    }
    let wide = [request(usize::MAX, 16, 0, 0)];
    assert_eq!(place(&wide, Budget::default()), Err(PlaceError::TooLarge));
    assert_eq!(lower_bound(&[wide[0], wide[0]]), usize::MAX);
    // A quarter of the address space is allowed, and alignment padding is not counted twice.
    let quarter = [request(usize::MAX / 4, 1, 0, 0)];
    assert_eq!(placed(&quarter).size, usize::MAX / 4);
    // Apart in time, large requests never add up.
    let apart = [request(usize::MAX / 8, 1, 0, 0), request(usize::MAX / 8, 1, 1, 1)];
    assert_eq!(placed(&apart).size, usize::MAX / 8);
}

#[test]
fn check_finds_each_fault() {
    let requests = [request(8, 4, 0, 1), request(8, 4, 1, 2)];
    let faulty = |offsets: &[usize], size: usize| {
        let mut placement = placed(&requests);
        placement.offsets = offsets.to_vec();
        placement.size = size;
        check(&requests, &placement).err()
    };
    assert_eq!(faulty(&[0, 8], 16), None);
    assert_eq!(faulty(&[0], 16), Some(PlacementFault::Length { requests: 2, offsets: 1 }));
    assert_eq!(faulty(&[0, 10], 32), Some(PlacementFault::Misaligned { index: 1 }));
    assert_eq!(faulty(&[0, 8], 15), Some(PlacementFault::OutOfArena { index: 1 }));
    assert_eq!(faulty(&[usize::MAX - 3, 0], 16), Some(PlacementFault::OutOfArena { index: 0 }));
    assert_eq!(faulty(&[0, 4], 16), Some(PlacementFault::Overlap { a: 0, b: 1 }));
}
