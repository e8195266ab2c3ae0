// Runs in the page before the page's own code. Records on the page's clock (milliseconds) when each
// frame of audio was sent, when each message arrived, when it was painted, and how many words were
// shown as committed then.

window.probe = { rate: 0, sent: [], shown: [] };

let samples = 0;

function whenPainted(done) {
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    port2.postMessage(null); // is delivered after the frame was drawn
  });
}

window.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args);
    this.addEventListener("message", ({ data }) => {
      const came = performance.now();
      const message = JSON.parse(data);
      whenPainted(() => {
        const committed = document.querySelectorAll(".committed > span").length;
        probe.shown.push({ came, painted: performance.now(), committed, message });
      });
    });
  }

  send(data) {
    if (typeof data === "string") {
      probe.rate ||= JSON.parse(data).sample_rate ?? 0;
    } else {
      samples += data.length;
      probe.sent.push([performance.now(), samples]);
    }
    super.send(data);
  }
};
