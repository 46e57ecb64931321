-- Leads a line for a term, or tells how long another does. Redis's own clock ends the term.
-- KEYS[1] who leads, KEYS[2] the highest number given; ARGV[1] who asks, ARGV[2] the term in milliseconds,
-- ARGV[3] the highest number in the room's row as far as the asker knows
-- Answers the number and the term if the asker leads; 0 and what is left of the other's term if not.
local fence = tonumber(redis.call('GET', KEYS[2]) or '0')
local known = tonumber(ARGV[3])
if redis.call('GET', KEYS[1]) == ARGV[1] and fence >= known and fence > 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return {fence, tonumber(ARGV[2])}
end
if not redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then
        return {0, redis.call('PTTL', KEYS[1])}
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
-- A new number at each take-over, and where Redis has lost the counter or another one has overtaken it.
fence = math.max(fence, known) + 1
redis.call('SET', KEYS[2], string.format('%.0f', fence))
return {fence, tonumber(ARGV[2])}
