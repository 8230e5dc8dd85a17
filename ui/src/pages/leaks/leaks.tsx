export function Leaks() {
  return <p>Leaks</p>;
}
