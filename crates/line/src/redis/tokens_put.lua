-- Puts copies of tokens into one small hash, except where a later one is there. A copy begins with the moment it is of;
-- an empty one removes what is there.
-- KEYS[1] the hash; ARGV[1] how long to keep it, in milliseconds, then fields and copies in turn, of 128 tokens at most
local fields, put, gone = {}, {}, {}
for at = 2, #ARGV, 2 do
    fields[at / 2] = ARGV[at]
end
local old = redis.call('HMGET', KEYS[1], unpack(fields))
for at, field in ipairs(fields) do
    local copy = ARGV[2 * at + 1]
    if copy == '' then
        gone[#gone + 1] = field
    elseif not old[at] or struct.unpack('>i8', old[at]) <= struct.unpack('>i8', copy) then
        put[#put + 1] = field
        put[#put + 1] = copy
    end
end
if #put > 0 then
    redis.call('HSET', KEYS[1], unpack(put))
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
if #gone > 0 then
    redis.call('HDEL', KEYS[1], unpack(gone))
end
return 0
