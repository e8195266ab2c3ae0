import { DistilStream } from "./javascript/browser.js";

document.querySelector("#talk").onclick = () => {
  const stream = new DistilStream({
    onFinal: ({ text }) => document.querySelector("#words").append(text, " "),
  });
  stream.start().catch((problem) => alert(problem.message));
};
