-- Looks names up.
--
--     ./x run examples/dns_lookup.lua NAME...

for _, name in ipairs({...}) do
  net.dns.resolve(name, function(_, address)
    print(name .. ": " .. (address or "not found"))
  end)
end
