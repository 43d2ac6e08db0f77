// svelte-check and editors look for this file; the page needs nothing from it.
export default {};
