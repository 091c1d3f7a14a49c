-- Sends back every datagram that it is sent (RFC 862).
--
--     ./x run examples/udp_echo.lua [PORT]

local port = tonumber((...)) or 7

local socket = net.createUDPSocket()
socket:on("receive", function(s, data, from_port, from_ip)
  s:send(from_port, from_ip, data)
end)
socket:listen(port, "::")

print("echo: serving on UDP port " .. port)
