-- Counts down, and ends when nothing is left to wait for.
--
--     ./x run examples/timer.lua [MILLISECONDS]

local interval = tonumber((...)) or 1000
local left = 3

tmr.create():alarm(interval, tmr.ALARM_AUTO, function(timer)
  print(left)
  left = left - 1
  if left == 0 then
    timer:unregister()
    print("done")
  end
end)
