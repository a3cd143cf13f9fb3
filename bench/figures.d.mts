export function median(numbers: readonly number[]): number;
export function percentile(numbers: readonly number[], share: number): number;
export function seconds(ms: number): string;
export function milliseconds(ms: number): string;
export function percent(share: number): string;
export function megabytes(bytes: number): string;
export function markdownTable(rows: readonly (readonly string[])[]): string;
export function delays(committed: readonly number[], seen: readonly { id: number; at: number }[], first: number): number[];
