//! The live blocks in order of birth: all, and those of each stack.

/// No block.
pub(super) const NONE: u32 = u32::MAX;

/// Blocks in order of birth, in lists that each has one of.
#[derive(Debug)]
pub(super) struct Chain {
    older: Vec<u32>,
    younger: Vec<u32>,
    /// By list.
    youngest: Vec<u32>,
    oldest: Vec<u32>,
    /// By list: the neighbours of the one that ended last.
    beside: Vec<[u32; 2]>,
}

impl Chain {
    /// Of so many blocks in so many lists.
    pub(super) fn new(blocks: usize, lists: usize) -> Chain {
        Chain {
            older: vec![NONE; blocks],
            younger: vec![NONE; blocks],
            youngest: vec![NONE; lists],
            oldest: vec![NONE; lists],
            beside: vec![[NONE; 2]; lists],
        }
    }

    /// A block begins.
    pub(super) fn begin(&mut self, list: usize, block: u32) {
        let before = std::mem::replace(&mut self.youngest[list], block);
        self.older[block as usize] = before;
        match before {
            NONE => self.oldest[list] = block,
            _ => self.younger[before as usize] = block,
        }
    }

    /// A block ends.
    pub(super) fn end(&mut self, list: usize, block: u32) {
        let (older, younger) = (self.older[block as usize], self.younger[block as usize]);
        match older {
            NONE => self.oldest[list] = younger,
            _ => self.younger[older as usize] = younger,
        }
        match younger {
            NONE => self.youngest[list] = older,
            _ => self.older[younger as usize] = older,
        }
        self.beside[list] = [older, younger];
    }

    /// The youngest of a list.
    pub(super) fn youngest(&self, list: usize) -> u32 {
        self.youngest[list]
    }

    /// The oldest of a list.
    pub(super) fn oldest(&self, list: usize) -> u32 {
        self.oldest[list]
    }

    /// The next older one.
    pub(super) fn older(&self, block: u32) -> u32 {
        self.older[block as usize]
    }

    /// The next younger one.
    pub(super) fn younger(&self, block: u32) -> u32 {
        self.younger[block as usize]
    }

    /// The older and the younger neighbour of the one of a list that ended last.
    pub(super) fn beside(&self, list: usize) -> [u32; 2] {
        self.beside[list]
    }
}
