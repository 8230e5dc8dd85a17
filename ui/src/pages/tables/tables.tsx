export function Tables() {
  return <p>Tables</p>;
}
