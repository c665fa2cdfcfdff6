// The form of a new company takes along where its person is, so that times are right from the first day.
onContent((root) => each(root, "input[data-time-zone]", (input) => {
  input.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
}));
