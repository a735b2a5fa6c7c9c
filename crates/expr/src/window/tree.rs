//! A tree over the positions of a partition that combines any range of them in a few steps.

use std::ops::Range;

/// Combined values of ranges; `combine` is associative.
pub(super) struct Tree<T, F> {
    rows: usize,
    nodes: Vec<Option<T>>,
    combine: F,
}

impl<T: Copy, F: Fn(T, T) -> T> Tree<T, F> {
    /// A tree over one value, or none, for each position.
    pub(super) fn new(values: impl ExactSizeIterator<Item = Option<T>>, combine: F) -> Tree<T, F> {
        let rows = values.len();
        let mut nodes: Vec<Option<T>> = vec![None; rows];
        nodes.extend(values);
        let mut tree = Tree { rows, nodes, combine };
        for node in (1..rows).rev() {
            tree.nodes[node] = tree.join(tree.nodes[2 * node], tree.nodes[2 * node + 1]);
        }
        tree
    }

    fn join(&self, left: Option<T>, right: Option<T>) -> Option<T> {
        match (left, right) {
            (Some(left), Some(right)) => Some((self.combine)(left, right)),
            (left, right) => left.or(right),
        }
    }

    /// What the values of these positions combine to, in their order.
    pub(super) fn range(&self, range: Range<usize>) -> Option<T> {
        let (mut left, mut right) = (None, None);
        let (mut low, mut high) = (range.start + self.rows, range.end + self.rows);
        while low < high {
            if low % 2 == 1 {
                left = self.join(left, self.nodes[low]);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                right = self.join(self.nodes[high], right);
            }
            low /= 2;
            high /= 2;
        }
        self.join(left, right)
    }

    /// What the values of several ranges combine to.
    pub(super) fn ranges(&self, ranges: &[Range<usize>]) -> Option<T> {
        ranges.iter().fold(None, |all, range| self.join(all, self.range(range.clone())))
    }
}
