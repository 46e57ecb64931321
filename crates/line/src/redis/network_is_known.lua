-- Whether an account has signed in from a network lately.
-- KEYS[1] the account's networks with the microsecond of the last sign-in from each; ARGV[1] the network, ARGV[2] for how
-- many seconds that counts
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if at and tonumber(at) > (tonumber(redis.call('TIME')[1]) - tonumber(ARGV[2])) * 1000000 then
    return 1
end
return 0
