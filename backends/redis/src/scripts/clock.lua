-- What all verbs need, and all that are done in one step share.

local DAY = 24 * 60 * 60 * 1000000
local HOUR = 60 * 60 * 1000000
local NONE = '0000000000000000'
local sub = string.sub

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local clock = time[1] .. sub('00000' .. time[2], -6)

