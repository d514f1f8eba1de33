// get and set of memcached's text protocol on Node's net module, with a Map for a store. Prints the
// port it listens on. What one chunk asks for is answered in one write.
'use strict';

const net = require('node:net');

const STORED = Buffer.from('STORED\r\n');
const END = Buffer.from('END\r\n');
const ERROR = Buffer.from('ERROR\r\n');
const BAD_CHUNK = Buffer.from('CLIENT_ERROR bad data chunk\r\n');
const LINE_END = Buffer.from('\r\n');
const MAX_LINE = 2048;

const store = new Map();

// One request that begins at a place of the data; returns where the next one begins, -1 if there is
// more to come.
function answer(data, at, replies) {
  const end = data.indexOf(10, at);
  if (end < 0) return data.length - at > MAX_LINE ? data.length : -1;
  const words = data.latin1Slice(at, data[end - 1] === 13 ? end - 1 : end).split(' ');
  if (words[0] === 'get' && words.length > 1) {
    for (let i = 1; i < words.length; i++) {
      const item = store.get(words[i]);
      if (item !== undefined) {
        replies.push(
          Buffer.from(`VALUE ${words[i]} ${item.flags} ${item.value.length}\r\n`, 'latin1'),
          item.value, LINE_END);
      }
    }
    replies.push(END);
    return end + 1;
  }
  if (words[0] === 'set' && words.length === 5) {
    const size = Number(words[4]);
    if (!Number.isInteger(size) || size < 0 || size > 1048576) {
      replies.push(ERROR);
      return end + 1;
    }
    const next = end + 1 + size;
    if (data.length < next + 2) return -1;
    if (data[next] === 13 && data[next + 1] === 10) {
      const value = Buffer.from(data.subarray(end + 1, next));
      store.set(words[1], { flags: Number(words[2]) >>> 0, value });
      replies.push(STORED);
    } else {
      replies.push(BAD_CHUNK);
    }
    return next + 2;
  }
  replies.push(ERROR);
  return end + 1;
}

const server = net.createServer({ noDelay: true }, (socket) => {
  let held = null;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    const data = held === null ? chunk : Buffer.concat([held, chunk]);
    const replies = [];
    let at = 0;
    while (at < data.length) {
      const next = answer(data, at, replies);
      if (next < 0) break;
      at = next;
    }
    held = at < data.length ? data.subarray(at) : null;
    if (replies.length > 0) socket.write(replies.length === 1 ? replies[0] : Buffer.concat(replies));
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
