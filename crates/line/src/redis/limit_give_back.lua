-- Gives back one try that was counted against a budget.
-- KEYS[1] when the budget would be full again, in microseconds; ARGV[1] how long one try takes to refill, in
-- microseconds
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full = tonumber(redis.call('GET', KEYS[1]) or '0') - tonumber(ARGV[1])
if full > now then
    redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
else
    redis.call('DEL', KEYS[1])
end
return 0
