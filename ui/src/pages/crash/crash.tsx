export function Crash() {
  return <p>Crash</p>;
}
