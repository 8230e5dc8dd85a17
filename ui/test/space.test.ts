// Layout, cells, ranges of addresses and time × address against a picture with one dot a byte.

import assert from 'node:assert/strict';
import test from 'node:test';
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

test('time × address: each cell is as used as its part of the plane', () =>
  forProcesses(60, async (made) => {
    const { process, blocks, random, events, clock } = made;
    const [a, b] = [random.below(events), events];
    const [lo, hi, width, height] = [0x10000, 0x10000 + 4096, 5, 4];
    const map = await process.time_map(lo, hi, a, b, width, height);
    const timeOf = (p: number) => (p === 0 ? 500 : clock[p - 1]!);
    const [from, span] = [timeOf(a), Math.max(1, timeOf(b) - timeOf(a))];
    const overlap = (x0: number, x1: number, cell: number) => Math.max(0, Math.min(x1, cell + 1) - Math.max(x0, cell));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const byStack = new Map<number, number>();
        for (const it of blocks) {
          const begun = timeOf(it.inherited ? 0 : it.born + 1);
          const ended = it.died >= events ? Infinity : timeOf(it.died + 1);
          const high = overlap(((it.addr - lo) * height) / (hi - lo), ((it.addr + extentOf(it) - lo) * height) / (hi - lo), y);
          const wide = overlap(((begun - from) * width) / span, ((ended - from) * width) / span, x);
          byStack.set(it.stack, (byStack.get(it.stack) ?? 0) + high * wide);
        }
        const used = [...byStack.values()].reduce((p, q) => p + q, 0);
        const cell = y * width + x;
        assert.ok(Math.abs(map.fill[cell]! - Math.min(1, used)) < 1e-5, `${x},${y}: ${map.fill[cell]} ${used}`);
        if (used > 0) assert.ok(byStack.get(map.stack[cell]!)! > Math.max(...byStack.values()) - 1e-5, `${x},${y}`);
      }
    }
  }));
