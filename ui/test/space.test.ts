// Layout, cells, ranges of addresses and time × address against a picture with one dot a byte.

import assert from 'node:assert/strict';
import test from 'node:test';
import { FREED, NEVER, type GroupBy } from '../src/data/types.ts';
import { extentOf, forProcesses, isLive, PAGE, STACKS, type Block, type Made } from './process.ts';

/** Live blocks by address, with the end of what they use: small gaps belong to the block before them, shared bytes to the first. */
function usedBy({ blocks }: Made, t: number): { block: Block; from: number; to: number }[] {
  const live = blocks.filter((it) => isLive(it, t)).sort((x, y) => x.addr - y.addr || x.id - y.id);
  const used: { block: Block; from: number; to: number }[] = [];
  let reached = 0;
  live.forEach((block, k) => {
    let to = Math.max(reached, block.addr + extentOf(block));
    const gap = (live[k + 1]?.addr ?? Infinity) - to;
    if (gap > 0 && gap < 32) to += gap;
    used.push({ block, from: Math.max(reached, block.addr), to });
    reached = Math.max(reached, to);
  });
  return used;
}

test('cells hold the bytes that lie in them, and the block with most', () =>
  forProcesses(200, async (made) => {
    const { process, random, events } = made;
    const t = random.below(events + 1);
    const [lo, cell, count] = [0x10000 - 40 + random.below(300), 1 + random.below(700), 1 + random.below(20)];
    const cells = await process.cells(t, lo, cell, count);
    const used = usedBy(made, t);
    for (let k = 0; k < count; k++) {
      const [from, to] = [lo + k * cell, lo + (k + 1) * cell];
      const bytes = used.map((it) => Math.max(0, Math.min(to, it.to) - Math.max(from, it.from)));
      assert.equal(cells.used[k], bytes.reduce((x, y) => x + y, 0), `cell ${k} at ${t}`);
      const most = Math.max(0, ...bytes);
      if (most === 0) continue;
      const owner = used[bytes.indexOf(most)]!.block;
      assert.deepEqual([cells.stack[k], cells.size[k], cells.born[k], cells.died[k], cells.leak[k]], [owner.stack, owner.size, owner.born, owner.died, owner.leak]);
    }
  }));

test('the layout is that of a picture with one dot a byte', () =>
  forProcesses(150, async (made) => {
    const t = made.random.below(made.events + 1);
    const layout = await made.process.layout(t);
    const live = made.blocks.filter((it) => isLive(it, t));
    const sum = (of: (it: Block) => number) => live.reduce((all, it) => all + of(it), 0);
    assert.equal(layout.total.live_blocks, live.length);
    assert.equal(layout.total.live_bytes, sum((it) => it.size));
    assert.equal(layout.total.slack_bytes, sum((it) => Math.max(0, it.usable - it.size)));
    const pins = new Map<number, number[]>();
    const rest = [...live].sort((x, y) => x.addr - y.addr);
    for (const { space, start, end } of layout.regions) {
      const own = rest.splice(0, space.live_blocks);
      const last = own.at(-1)!;
      assert.equal(space.used_bytes + space.holes.bytes, last.addr + extentOf(last) - own[0]!.addr);
      assert.deepEqual(space.pages, pagesOf(own, start, end, pins));
    }
    assert.deepEqual(rest, []);
    assert.equal(layout.pins.length, pins.size);
    for (const pin of layout.pins) {
      assert.deepEqual([...(await made.process.pinned(t, pin.site))], pins.get(pin.site));
      assert.deepEqual([pin.pages, pin.held_bytes], [pins.get(pin.site)!.length, pins.get(pin.site)!.length * PAGE]);
    }
    assert.deepEqual(layout.pins.map((pin) => pin.pages), layout.pins.map((pin) => pin.pages).sort((x, y) => y - x));
  }, true));

/** `own`: the blocks of a region, by address. */
function pagesOf(own: Block[], start: number, end: number, pins: Map<number, number[]>) {
  const pages = { empty: 0, under_25: 0, under_50: 0, under_75: 0, under_100: 0, full: 0 };
  const ends = own.map((it, k) => {
    const end = it.addr + extentOf(it);
    const gap = (own[k + 1]?.addr ?? Infinity) - end;
    return gap < 32 ? end + gap : end;
  });
  for (let page = start; page < end; page += PAGE) {
    const touching = own.filter((it, k) => it.addr < page + PAGE && Math.max(ends[k]!, it.addr + 1) > page);
    const used = own.reduce((all, it, k) => all + Math.max(0, Math.min(ends[k]!, page + PAGE) - Math.max(it.addr, page)), 0);
    if (touching.length === 0) pages.empty++;
    else pages[used === PAGE ? 'full' : used * 4 < PAGE ? 'under_25' : used * 2 < PAGE ? 'under_50' : used * 4 < PAGE * 3 ? 'under_75' : 'under_100']++;
    if (touching.length === 0 || used * 4 >= PAGE) continue;
    for (const site of new Set(touching.map((it) => STACKS.site[it.stack]!))) pins.set(site, [...(pins.get(site) ?? []), page]);
  }
  return pages;
}

test('blocks at an address, live and over time, and the events there', () =>
  forProcesses(200, async (made) => {
    const { process, blocks, random, events } = made;
    const t = random.below(events + 1);
    const lo = 0x10000 + random.below(6000);
    const hi = lo + 1 + random.below(2000);
    const touches = (it: Block, from: number, to: number) => it.addr < to && (it.addr >= from || it.addr + extentOf(it) > from);
    const live = blocks.filter((it) => isLive(it, t) && touches(it, lo, hi)).sort((x, y) => x.addr - y.addr || x.id - y.id);
    const answer = await process.live(t, lo, hi, 4);
    assert.equal(answer.too_many, live.length > 4);
    assert.deepEqual([...answer.rows.id], live.length > 4 ? [] : live.map((it) => it.id));
    const ever = blocks.filter((it) => touches(it, lo, lo + 1)).map((it) => it.id);
    assert.deepEqual([...(await process.history(lo, 3)).id], ever.slice(-3));
    const ranks = blocks.filter((it) => touches(it, lo, hi)).flatMap((it) => [...(it.inherited ? [] : [it.born]), it.died]);
    const wanted = ranks.filter((rank) => rank < t).sort((x, y) => x - y);
    assert.deepEqual((await process.events(t, lo, hi, 5)).map((it) => it.position - 1), wanted.slice(-5));
  }));

test('time × address: each cell is as used as its part of the plane, by blocks that the filter keeps and by others', () =>
  forProcesses(100, async (made) => {
    const { process, blocks, random, events, clock } = made;
    const a = random.below(events + 1);
    const b = a + random.below(events - a + 1);
    const [lo, hi, width, height] = [0x10000, 0x10000 + 4096, 5, 4];
    const timeOf = (p: number) => (p === 0 ? 500 : clock[p - 1]!);
    const bornAt = (it: Block) => timeOf(it.inherited ? 0 : it.born + 1);
    const reached = (limits: number[], number: number) => limits.filter((limit) => limit <= number).length;
    const sizes = [2, 25, 1000];
    const lives = [1000, 4000, 20_000];
    const ways: { by: GroupBy; limits: number[]; groupOf: (it: Block) => number }[] = [
      { by: 'site', limits: [], groupOf: (it) => STACKS.site[it.stack]! },
      { by: 'size', limits: sizes, groupOf: (it) => reached(sizes, it.size) },
      { by: 'lifetime', limits: lives, groupOf: (it) => (it.died === NEVER ? 4 : reached(lives, timeOf(it.died + 1) - bornAt(it))) },
      { by: 'thread', limits: [], groupOf: (it) => it.thread },
      { by: 'leak', limits: [], groupOf: (it) => (it.died === NEVER ? it.leak : FREED) },
    ];
    const filters: { q: string; keeps: (it: Block) => boolean }[] = [
      { q: '', keeps: () => true },
      { q: 'size:>=25', keeps: (it) => it.size >= 25 },
      { q: 'site:g -leaked', keeps: (it) => [2, 5].includes(STACKS.site[it.stack]!) && it.died !== NEVER },
      { q: 'age:>=4us', keeps: (it) => (it.inherited || it.born < b) && timeOf(b) - bornAt(it) >= 4000 },
    ];
    const [from, span] = [timeOf(a), Math.max(1, timeOf(b) - timeOf(a))];
    const overlap = (x0: number, x1: number, cell: number) => Math.max(0, Math.min(x1, cell + 1) - Math.max(x0, cell));
    const share = (it: Block, x: number, y: number) => {
      if (it.died < a || (!it.inherited && it.born >= b)) return 0;
      const ended = it.died >= events ? Infinity : timeOf(it.died + 1);
      const high = overlap(((it.addr - lo) * height) / (hi - lo), ((it.addr + extentOf(it) - lo) * height) / (hi - lo), y);
      return high * overlap(((bornAt(it) - from) * width) / span, ((ended - from) * width) / span, x);
    };
    for (const { by, limits, groupOf } of ways) {
      const { q, keeps } = random.pick(filters);
      const map = await process.time_map({ lo, hi, a, b, width, height, by, limits, q });
      assert.equal(map.rest.length, q === '' ? 0 : width * height);
      for (let cell = 0; cell < width * height; cell++) {
        const where = `${by} ${q} ${cell}`;
        const [x, y] = [cell % width, Math.floor(cell / width)];
        const shares = new Map<number, number>();
        let rest = 0;
        for (const it of blocks) {
          const own = share(it, x, y);
          if (keeps(it)) shares.set(groupOf(it), (shares.get(groupOf(it)) ?? 0) + own);
          else rest += own;
        }
        const used = [...shares.values()].reduce((p, q) => p + q, 0);
        assert.ok(Math.abs(map.fill[cell]! - Math.min(1, used)) < 1e-5, `${where}: ${map.fill[cell]} ${used}`);
        assert.ok(Math.abs((map.rest[cell] ?? 0) - Math.min(1, rest)) < 1e-5, `${where}: ${map.rest[cell]} ${rest}`);
        if (used > 0) assert.ok(shares.get(map.group[cell]!)! > Math.max(...shares.values()) - 1e-5, where);
      }
    }
  }));
