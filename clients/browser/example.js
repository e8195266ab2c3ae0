import { DistilStream } from "./distil-stream.js";

document.querySelector("#talk").onclick = () => {
  const stream = new DistilStream({
    url: new URL("v1/stream", location.href.replace(/^http/, "ws")).href,
    onFinal: ({ text }) => document.querySelector("#words").append(text, " "),
  });
  stream.start().catch((problem) => alert(problem.message));
};
