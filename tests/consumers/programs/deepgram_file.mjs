// Transcribes a recording with @deepgram/sdk: port, file, parameters as JSON.

import { createReadStream } from "node:fs";
import { DeepgramClient } from "@deepgram/sdk";

const [port, path, given] = process.argv.slice(2);
const server = `http://127.0.0.1:${port}`;
const environment = { base: server, production: server, agent: server, agentRest: server };
const client = new DeepgramClient({ apiKey: "none", environment });
try {
  const parameters = JSON.parse(given);
  const response = parameters.url
    ? await client.listen.v1.media.transcribeUrl(parameters)
    : await client.listen.v1.media.transcribeFile(createReadStream(path), parameters);
  console.log(JSON.stringify(response));
} catch (error) {
  console.log(JSON.stringify({ status: error.statusCode, body: error.body, error: String(error) }));
}
