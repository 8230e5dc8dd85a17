export function Summary() {
  return <p>Summary</p>;
}
