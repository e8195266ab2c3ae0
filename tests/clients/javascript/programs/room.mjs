// Prints the messages of a room until its first stream is over: `SERVER ROOM`.

import process from "node:process";

import { listRooms, readRoom } from "distil-stream-client";

const [server, room] = process.argv.slice(2);
let wasLive = false;
for await (const message of readRoom(server, room)) {
  console.log(JSON.stringify(message));
  if (message.type === "live" || message.type === "room") {
    if (wasLive && !message.live) break;
    wasLive = message.live;
  }
}
console.log(JSON.stringify({ type: "rooms", rooms: (await listRooms(server)).map((one) => one.room) }));
