// SPDX-License-Identifier: MIT
// Sends the files of a folder on a free port of this machine, which it prints.
// usage: node serve.js FOLDER
"use strict";
const fs = require("fs"), http = require("http"), path = require("path");

const folder = fs.realpathSync(process.argv[2]);
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
const server = http.createServer((request, answer) => {
  const file = path.join(folder, path.normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname)));
  fs.readFile(file, (error, bytes) => {
    answer.writeHead(error ? 404 : 200, { "Content-Type": types[path.extname(file)] || "application/octet-stream" });
    answer.end(error ? "" : bytes);
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
