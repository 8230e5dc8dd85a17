export function Flame() {
  return <p>Flame</p>;
}
