// What was recorded beside the stacks of a crash: registers, other blocks and threads, the memory map, the last events.

import { data } from '../../state/state.ts';
import { baseName } from '../../ui/name.tsx';
import { bytes, count, exactBytes, exactTime } from '../../ui/units.ts';
import { Backtrace, jsonLines } from '../blocks/backtrace.tsx';
import { openBlock } from '../links.ts';
import { blockName, relationOf } from './model.ts';
import type { CrashBlock, CrashEvent, CrashReport, CrashThread, JsonFrame } from './model.ts';

export function Evidence({ crash }: { crash: CrashReport }) {
  const others = crash.threads.filter((it) => !it.crashed);
  return (
    <div class="crash-evidence">
      {crash.blocks.length > 1 && <OtherBlocks blocks={crash.blocks.slice(1)} />}
      {crash.registers.length > 0 && <Registers registers={crash.registers} />}
      {crash.mappings.length > 0 && <MemoryMap crash={crash} />}
      <Threads threads={others} missing={crash.threads_missing} />
      <LastEvents events={crash.last_events} />
    </div>
  );
}

function OtherBlocks({ blocks }: { blocks: CrashBlock[] }) {
  return (
    <section class="card">
      <h3>Other blocks</h3>
      <table class="plain">
        <tbody>
          {blocks.map((it) => (
            <tr key={it.address}>
              <td>{it.block === null ? blockName(it) : <BlockLink id={it.block} />}</td>
              <td class="numeric" title={exactBytes(it.size)}>{bytes(it.size)}</td>
              <td>{relationOf(it)}</td>
              <td class="mono">{it.address}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function BlockLink({ id }: { id: number }) {
  return (
    <button class="link" onClick={() => openBlock(id)}>
      #{id}
    </button>
  );
}

function Registers({ registers }: { registers: CrashReport['registers'] }) {
  return (
    <section class="card">
      <h3>Registers</h3>
      <table class="plain registers">
        <tbody>
          {registers.map((it) => (
            <tr key={it.name}>
              <th scope="row" class="mono">{it.name}</th>
              <td class="mono">{`0x${it.value.replace(/^0x/, '').padStart(16, '0')}`}</td>
              <td><PointsTo text={it.points_to} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Where a register leads, with a link to the block that it names. */
function PointsTo({ text }: { text: string | null }) {
  const match = /^(.*)(#(\d+))(.*)$/s.exec(text ?? '');
  if (!match) return <>{text ?? ''}</>;
  return (
    <>
      {match[1]}
      <BlockLink id={Number(match[3])} />
      {match[4]}
    </>
  );
}

function MemoryMap({ crash }: { crash: CrashReport }) {
  const held = crash.mappings.some((it) => it.holds);
  return (
    <section class="card">
      <h3>Memory map around the address</h3>
      <table class="plain">
        <tbody>
          {!held && (
            <tr class="hit">
              <td class="mono">{crash.address}</td>
              <td colSpan={2}>nothing is mapped here</td>
            </tr>
          )}
          {crash.mappings.map((it) => (
            <tr key={it.start} class={it.holds ? 'hit' : undefined}>
              <td class="mono">{it.start}–{it.end}</td>
              <td class="mono">{it.access}</td>
              <td class="break">{it.name || 'anonymous'}{it.holds && ' holds the address'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Threads({ threads, missing }: { threads: CrashThread[]; missing: number }) {
  return (
    <section class="card">
      <h3>Other threads</h3>
      {threads.length === 0 && <p class="muted">There was no other thread.</p>}
      {threads.map((it) => (
        <details key={it.tid}>
          <summary>
            {it.tid} “<bdi>{it.name}</bdi>” <span class="muted">{it.backtrace.find((frame) => frame.named)?.short ?? ''}</span>
          </summary>
          <Backtrace lines={jsonLines(it.backtrace, data.value.stacks.frames)} label={`Backtrace of ${it.tid}`} none="Its stack could not be read." />
          {!it.complete && <p class="muted">The backtrace is not complete.</p>}
        </details>
      ))}
      {missing > 0 && <p class="muted">The stacks of {count(missing)} more could not be looked at.</p>}
    </section>
  );
}

function siteText({ short, file, line }: JsonFrame): string {
  return file ? `${short}  ${baseName(file)}:${line}` : short;
}

export function LastEvents({ events }: { events: CrashEvent[] }) {
  return (
    <section class="card wide">
      <h3>Last events of the thread</h3>
      {events.length === 0 ? (
        <p class="muted">None was recorded.</p>
      ) : (
        <table class="plain">
          <thead>
            <tr><th class="numeric">time</th><th>what</th><th>block</th><th class="numeric">size</th><th>address</th><th>where</th></tr>
          </thead>
          <tbody>
            {events.map((it, index) => (
              <tr key={index}>
                <td class="numeric">{exactTime(it.time_ns)}</td>
                <td>{it.action}</td>
                <td>{it.block === null ? '–' : <BlockLink id={it.block} />}</td>
                <td class="numeric" title={exactBytes(it.size)}>{bytes(it.size)}</td>
                <td class="mono">{it.address}</td>
                <td class="break">{it.site ? siteText(it.site.frame) : '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
