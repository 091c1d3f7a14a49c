-- Sends back whatever it is sent, however fast it comes (RFC 862).
--
--     ./x run examples/tcp_echo.lua [PORT]

local port = tonumber((...)) or 7

net.createServer(net.TCP, 300):listen(port, "::", function(client)
  local waiting = {} -- what did not fit into the send queue

  client:on("receive", function(sck, data)
    -- send() takes all of it or raises an error.
    if #waiting > 0 or not pcall(sck.send, sck, data) then
      waiting[#waiting + 1] = data
      sck:hold() -- a peer that does not read is not read from either
    end
  end)

  client:on("sent", function(sck)
    while #waiting > 0 and pcall(sck.send, sck, waiting[1]) do
      table.remove(waiting, 1)
    end
    if #waiting == 0 then sck:unhold() end
  end)
end)

print("echo: serving on TCP port " .. port)
