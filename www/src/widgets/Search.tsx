/** A search field; Escape empties it. */
export function Search({ label, value, placeholder, onInput }: { label: string; value: string; placeholder: string; onInput: (text: string) => void }) {
  return (
    <input
      class="field"
      type="search"
      aria-label={label}
      placeholder={placeholder}
      value={value}
      spellcheck={false}
      autocomplete="off"
      onInput={(e) => onInput(e.currentTarget.value)}
      onKeyDown={(e) => {
        if (e.key === "Escape" && value !== "") {
          e.preventDefault();
          onInput("");
        }
      }}
    />
  );
}
