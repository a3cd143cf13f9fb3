export function openApi(version: string): object {
  return { version };
}
