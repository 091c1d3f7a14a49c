-- A web page that the device serves itself.
--
--     ./x run examples/hello.lua [PORT]
--
-- lunet says which address to open.

local port = tonumber((...)) or 80
local visitors = 0

local function answer(sck)
  visitors = visitors + 1
  local _, visitor = sck:getpeer()
  local page = "<!doctype html><title>lunet</title><h1>Hello from lunet</h1>\n"
    .. "<p>This page was made by a Lua script, on a network stack of its own.\n"
    .. "<p>You are visitor " .. visitors .. ", from " .. visitor .. ".\n"
  sck:send("HTTP/1.1 200 OK\r\n"
    .. "Content-Type: text/html; charset=utf-8\r\n"
    .. "Content-Length: " .. #page .. "\r\n"
    .. "Connection: close\r\n\r\n"
    .. page)
  -- What was sent is still delivered.
  sck:close()
end

-- A client that says nothing for 30 seconds is disconnected.
net.createServer(net.TCP, 30):listen(port, "::", function(client)
  local request = ""
  client:on("receive", function(sck, data)
    request = request .. data
    -- The request ends with an empty line, and may come in several pieces.
    if request:find("\r\n\r\n", 1, true) then
      sck:on("receive", function() end)
      answer(sck)
    elseif #request > 4096 then
      sck:close()
    end
  end)
end)

print("hello: serving on port " .. port)
