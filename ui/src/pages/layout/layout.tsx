export function LayoutPage() {
  return <p>LayoutPage</p>;
}
