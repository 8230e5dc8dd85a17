export function HistogramsPage() {
  return <p>HistogramsPage</p>;
}
