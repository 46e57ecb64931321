-- Leads lines for a term, or tells how long another does. Redis's own clock ends the term.
-- KEYS in pairs, one for each line: who leads, the highest number given; ARGV[1] who asks, ARGV[2] the term in
-- milliseconds, ARGV[3] how long to keep the numbers, in milliseconds, ARGV[4..] for each line the highest number in
-- the room's row as far as the asker knows
-- Answers for each line the number and the term if the asker leads; 0 and what is left of the other's term if not.
local term = tonumber(ARGV[2])
local function lead(leader, counter, known)
    local fence = tonumber(redis.call('GET', counter) or '0')
    local holder = redis.call('GET', leader)
    if holder and holder ~= ARGV[1] then
        return 0, redis.call('PTTL', leader)
    end
    if holder and fence >= known and fence > 0 then
        redis.call('PEXPIRE', leader, term)
        return fence, term
    end
    redis.call('SET', leader, ARGV[1], 'PX', term)
    -- A new number at each take-over, and where Redis has lost the counter or another one has overtaken it.
    fence = math.max(fence, known) + 1
    redis.call('SET', counter, string.format('%.0f', fence), 'PX', ARGV[3])
    return fence, term
end
local answers = {}
for at = 1, #KEYS, 2 do
    local fence, left = lead(KEYS[at], KEYS[at + 1], tonumber(ARGV[3 + (at + 1) / 2]))
    answers[at] = fence
    answers[at + 1] = left
end
return answers
