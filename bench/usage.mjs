import { readdirSync, readFileSync } from 'node:fs';

/** Ticks a second of /proc/PID/stat: USER_HZ, 100 on every Linux that Node.js runs on. */
const TICK_MS = 10;

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, counted from the state, the first field after the name. */
const PARENT = 1;
const USER = 11;
const SYSTEM = 12;
const USER_OF_REAPED = 13;
const SYSTEM_OF_REAPED = 14;

function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
  } catch {
    return null;
  }
}

/** CPU time of one process in ms, user and system; NaN where it is gone or there is no /proc. */
export function processCpu(pid) {
  const stat = statOf(pid);
  return stat ? (stat[USER] + stat[SYSTEM]) * TICK_MS : NaN;
}

/** CPU time in ms of a process and all its children, also those that have ended: of a postmaster, the whole server. */
function serverCpu(pid) {
  const own = statOf(pid);
  if (!own) return NaN;
  let ticks = own[USER] + own[SYSTEM] + own[USER_OF_REAPED] + own[SYSTEM_OF_REAPED];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = statOf(entry);
    if (stat?.[PARENT] === pid) ticks += stat[USER] + stat[SYSTEM];
  }
  return ticks * TICK_MS;
}

/**
 * CPU time in ms that the whole machine has spent, with what its neighbours have taken from it (steal).
 * https://man7.org/linux/man-pages/man5/proc_stat.5.html: user nice system idle iowait irq softirq steal.
 */
export function machineCpu() {
  try {
    const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'latin1')
      .split('\n', 1)[0]
      .split(/ +/)
      .slice(1)
      .map(Number);
    return (user + nice + system + irq + softirq + steal) * TICK_MS;
  } catch {
    return NaN;
  }
}

/** The most memory a process ever had resident, in bytes. */
export function peakMemory(pid) {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return kilobytes === undefined ? NaN : Number(kilobytes) * 1024;
  } catch {
    return NaN;
  }
}

/**
 * Reads all clocks of a measurement at once: CPU of both servers, of the contender's own process, of the machine, ms.
 * Two readings give what was spent between them.
 */
export function readClocks({ source, target }, contender) {
  const { user, system } = process.cpuUsage();
  return {
    at: performance.now(),
    source: serverCpu(source.pid),
    target: serverCpu(target.pid),
    own: contender.wholeCpu?.() ?? 0,
    bench: (user + system) / 1000,
    machine: machineCpu(),
  };
}

/**
 * What was spent between two readings. `othersCpuShare` is what others on this machine took, of one core: the more it
 * is, the less the times mean. `besides` is CPU of further processes of the bench.
 */
export function spentBetween(before, after, besides = 0) {
  const spent = (part) => after[part] - before[part];
  const known = spent('source') + spent('target') + spent('own') + spent('bench') + besides;
  return {
    sourceCpuMs: spent('source'),
    targetCpuMs: spent('target'),
    othersCpuShare: Math.max(0, spent('machine') - known) / spent('at'),
  };
}
