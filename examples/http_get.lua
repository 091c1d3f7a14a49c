-- Fetches a web page and prints it as it comes.
--
--     ./x run examples/http_get.lua HOST [PATH]

local host, path = ...
if not host then error("usage: http_get.lua HOST [PATH]", 0) end

local socket = net.createConnection(net.TCP)
socket:on("connection", function(sck)
  sck:send("GET " .. (path or "/") .. " HTTP/1.1\r\nHost: " .. host .. "\r\nConnection: close\r\n\r\n")
end)
socket:on("receive", function(_, data) print(data) end)
socket:on("reconnection", function(_, code) print("could not fetch it: error " .. code) end)
socket:connect(80, host)
