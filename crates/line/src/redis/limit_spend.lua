-- Counts tries against a budget that refills evenly, or gives them back.
-- KEYS[1] when the budget would be full again, in microseconds; ARGV[1] how long the tries take to refill, below 0 if they
-- are given back, ARGV[2] how much of that the budget holds, both in microseconds
-- Answers 0, or after how many microseconds to try again.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + tonumber(ARGV[1])
local wait = full - tonumber(ARGV[2]) - now
if wait > 0 then
    return wait
end
if full > now then
    redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
else
    redis.call('DEL', KEYS[1])
end
return 0
