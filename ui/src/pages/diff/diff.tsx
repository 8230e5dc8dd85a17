export function Diff() {
  return <p>Diff</p>;
}
