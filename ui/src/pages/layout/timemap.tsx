export function TimeMap() {
  return <p>time</p>;
}
