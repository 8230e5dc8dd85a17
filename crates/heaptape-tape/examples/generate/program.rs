//! Streams of events like those of real programs, made up as they are asked for: blocks come from
//! pools that hand out what was freed last, calls from a few thousand call sites in recurring order,
//! times with the noise of a real clock.

#![allow(dead_code, unreachable_pub)] // each test that includes this file uses its part

use heaptape_tape::*;
use std::collections::HashMap;

/// Which kind of program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An interpreter: few call sites, short-lived blocks of few sizes, 50,000 live blocks.
    Python,
    /// A compiler: thousands of call sites, many sizes, much kept: 400,000 live blocks.
    Gcc,
    /// A C++ tree with random insertion and removal: 200,000 live blocks, freed in no order.
    Tree,
    /// What keeps a reader's live set large: 8,000,000 live blocks.
    Hoard,
    /// What keeps a reader's tables large: 4,000,000 call sites, twice as many backtrace nodes.
    Maze,
}

/// What a kind of program is like.
struct Habits {
    sites: u64,
    /// Of 100 call sites, how many ask for varying sizes.
    varying: u64,
    /// Of 100 blocks, how many are kept.
    kept: u64,
    /// Most blocks kept; then as many are freed as are kept.
    most_kept: usize,
    /// Of 100 frees of kept blocks, how many are of a random one; others of the next in order.
    disorder: u64,
    threads: u32,
}

impl Kind {
    fn habits(self) -> Habits {
        match self {
            Kind::Python => Habits {
                sites: 600,
                varying: 20,
                kept: 4,
                most_kept: 50_000,
                disorder: 50,
                threads: 1,
            },
            Kind::Gcc => Habits {
                sites: 6000,
                varying: 30,
                kept: 30,
                most_kept: 400_000,
                disorder: 30,
                threads: 1,
            },
            Kind::Tree => Habits {
                sites: 40,
                varying: 5,
                kept: 50,
                most_kept: 200_000,
                disorder: 100,
                threads: 4,
            },
            Kind::Hoard => Habits {
                sites: 6000,
                varying: 30,
                kept: 50,
                most_kept: 8_000_000,
                disorder: 30,
                threads: 1,
            },
            Kind::Maze => Habits {
                sites: 4_000_000,
                varying: 30,
                kept: 30,
                most_kept: 100_000,
                disorder: 30,
                threads: 1,
            },
        }
    }
}

/// A call site: its backtrace, and the sizes it asks for.
#[derive(Clone, Copy)]
struct Site {
    backtrace: BacktraceId,
    size: u64,
    varying: bool,
}

/// A made-up program.
pub struct Program {
    random: Random,
    habits: Habits,
    sites: Vec<Site>,
    pools: HashMap<u64, Vec<u64>>,
    top: u64,
    now: u64,
    thread: u32,
    /// Blocks of the calls in progress, freed last in, first out.
    stack: Vec<(u64, u64)>,
    kept: Vec<(u64, u64)>,
    next_kept: usize,
    /// The routine in progress: the number of its next call site, and calls left.
    routine: (u64, u64),
    returning: bool,
}

impl Program {
    /// Begins process 0 on `tape`: its threads, a module, its call sites.
    pub fn begin<W: std::io::Write>(
        kind: Kind,
        seed: u64,
        tape: &mut TapeWriter<W>,
    ) -> std::io::Result<Program> {
        let habits = kind.habits();
        let mut random = Random(seed | 1);
        begin_process(tape, habits.threads)?;
        let mut sites = Vec::new();
        let mut nodes = vec![BacktraceId::NONE];
        for _ in 0..habits.sites {
            let mut parent = nodes[random.below(nodes.len() as u64) as usize];
            for _ in 0..1 + random.below(3) {
                let address = 0x1000 + 16 * random.below(1 << 16);
                let quality = FrameQuality::Exact;
                let module = Some(ModuleId(0));
                parent =
                    tape.backtrace_node(&BacktraceNode { parent, module, address, quality })?;
                nodes.push(parent);
            }
            let largest = 8 << random.below(7);
            let size = 8 + random.below(largest);
            let varying = random.below(100) < habits.varying;
            sites.push(Site { backtrace: parent, size, varying });
        }
        Ok(Program {
            random,
            habits,
            sites,
            pools: HashMap::new(),
            top: 0x5555_5575_9010,
            now: 0,
            thread: 0,
            stack: Vec::new(),
            kept: Vec::new(),
            next_kept: 0,
            routine: (0, 0),
            returning: false,
        })
    }

    /// The next event.
    pub fn event(&mut self) -> Event {
        self.now += 40 + self.random.below(80);
        if self.random.below(200) == 0 {
            self.now += self.random.below(20_000);
            self.thread = self.random.below(u64::from(self.habits.threads)) as u32;
        }
        if self.returning {
            if let Some((addr, size)) = self.stack.pop() {
                self.returning = self.stack.len() > 100 || self.random.below(6) != 0;
                return self.free(addr, size);
            }
            self.returning = false;
        }
        if self.kept.len() >= self.habits.most_kept && self.random.below(100) < self.habits.kept {
            return self.free_kept();
        }
        self.call()
    }

    fn call(&mut self) -> Event {
        if self.routine.1 == 0 {
            let start = self.random.below(self.habits.sites) / 8 * 8;
            self.routine = (start, 3 + self.random.below(6));
            self.returning = !self.stack.is_empty();
        }
        let site = self.sites[(self.routine.0 % self.habits.sites) as usize];
        self.routine = (self.routine.0 + 1, self.routine.1 - 1);
        let size = if site.varying { 1 + self.random.below(2 * site.size) } else { site.size };
        let addr = self.allocate(size);
        if self.random.below(100) < self.habits.kept {
            self.kept.push((addr, size));
        } else {
            self.stack.push((addr, size));
        }
        self.made(Action::Alloc, Api::New, addr, size, usable(size), site.backtrace)
    }

    fn free_kept(&mut self) -> Event {
        let at = if self.random.below(100) < self.habits.disorder {
            self.random.below(self.kept.len() as u64) as usize
        } else {
            self.next_kept = (self.next_kept + 1) % self.kept.len();
            self.next_kept
        };
        let (addr, size) = self.kept.swap_remove(at);
        self.free(addr, size)
    }

    fn free(&mut self, addr: u64, size: u64) -> Event {
        self.pools.entry(usable(size)).or_default().push(addr);
        self.made(Action::Free, Api::Delete, addr, 0, 0, BacktraceId::NONE)
    }

    fn allocate(&mut self, size: u64) -> u64 {
        if let Some(addr) = self.pools.get_mut(&usable(size)).and_then(Vec::pop) {
            return addr;
        }
        let addr = self.top;
        self.top += usable(size) + 8;
        addr
    }

    fn made(
        &self,
        action: Action,
        api: Api,
        addr: u64,
        size: u64,
        usable: u64,
        backtrace: BacktraceId,
    ) -> Event {
        let (time, thread) = (TimeNs(self.now), ThreadId(self.thread));
        Event { time, thread, action, api, align_log2: 0, addr, size, usable, backtrace }
    }
}

/// What glibc gives.
fn usable(size: u64) -> u64 {
    ((size + 23) & !15).max(32) - 8
}

fn begin_process<W: std::io::Write>(tape: &mut TapeWriter<W>, threads: u32) -> std::io::Result<()> {
    let process = ProcessId(0);
    tape.process_start(&Process {
        pid: 1000,
        ppid: 1,
        exe: b"/usr/bin/made-up".to_vec(),
        argv: vec![b"made-up".to_vec()],
        ..Process::unknown(process)
    })?;
    for thread in 0..threads {
        let (id, name, start) = (ThreadId(thread), b"made-up".to_vec(), TimeNs(0));
        tape.thread_start(&Thread { id, process, tid: 1000 + thread, name, start })?;
    }
    tape.module_load(&Module {
        id: ModuleId(0),
        process,
        path: b"/usr/bin/made-up".to_vec(),
        build_id: vec![7; 20],
        start: 0x5555_5555_4000,
        end: 0x5555_5575_4000,
        bias: 0x5555_5555_4000,
        loaded: TimeNs(0),
        unloaded: None,
    })
}

/// Xorshift: small, fast, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}
