-- Takes or renews the leases of lines, or gives them up, for a term of 0. Redis's own clock ends a term.
-- KEYS in pairs, one for each line: the leader, the highest fence given; ARGV[1] the asking instance, ARGV[2] the term,
-- ARGV[3] how long to keep the fences, both in milliseconds, ARGV[4..] for each line the highest fence of the room's row
-- that the instance knows
-- Answers for each line the fence and the term if the instance leads it; 0 and the rest of another's term if not.
local term = tonumber(ARGV[2])
local function lead(leader, counter, known)
    local fence = tonumber(redis.call('GET', counter) or '0')
    local holder = redis.call('GET', leader)
    if holder and holder ~= ARGV[1] then
        return 0, redis.call('PTTL', leader)
    end
    if term == 0 then
        return 0, holder and redis.call('DEL', leader) or 0
    end
    if holder and fence >= known and fence > 0 then
        redis.call('PEXPIRE', leader, term)
        return fence, term
    end
    redis.call('SET', leader, ARGV[1], 'PX', term)
    -- A new fence at each take-over, and if Redis has lost the counter or the row has a higher one.
    fence = math.max(fence, known) + 1
    redis.call('SET', counter, string.format('%.0f', fence), 'PX', ARGV[3])
    return fence, term
end
local answers = {}
for at = 1, #KEYS, 2 do
    local fence, left = lead(KEYS[at], KEYS[at + 1], tonumber(ARGV[3 + (at + 1) / 2]))
    answers[(at + 1) / 2] = {fence, left}
end
return answers
