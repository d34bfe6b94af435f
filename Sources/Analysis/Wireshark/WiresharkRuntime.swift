/// The part of the plugin that is the same for all definitions: it reads the tables that stand above it.
enum WiresharkRuntime {
  /// Cuts signals out of payloads and scales them.
  static let values = #"""
    -- ==== Values ====

    local floor, format = math.floor, string.format

    -- A payload's bytes, from 1.
    local function bytes_of(tvb, length)
      if length == 0 then return {} end
      return { tvb:raw(0, length):byte(1, length) }
    end

    -- The raw bits of a signal, at most 48 of them, as a number.
    local function raw_of(bytes, signal)
      local value = 0
      if signal.big then
        for place = signal.first + 1, signal.first + signal.count do value = value * 256 + bytes[place] end
      else
        for place = signal.first + signal.count, signal.first + 1, -1 do value = value * 256 + bytes[place] end
      end
      if signal.shift > 0 then value = floor(value / signal.divisor) end
      value = value % signal.modulus
      if signal.signed and value >= signal.half then value = value - signal.modulus end
      return value
    end

    -- The same for more bits than a number holds: a UInt64, or an Int64 if signed.
    local function wide_raw_of(bytes, signal)
      local low, high = 0, 0
      local from, to, step = signal.first + signal.count, signal.first + 1, -1
      if signal.big then from, to, step = to, from, 1 end
      for place = from, to, step do
        high = (high * 256 + floor(low / 0x1000000)) % 0x100000000
        low = low % 0x1000000 * 256 + bytes[place]
      end
      local value = UInt64.new(low, high)
      if signal.shift > 0 then value = value:rshift(signal.shift) end
      if signal.width < 64 then
        value = value:lshift(64 - signal.width)
        value = value:rshift(64 - signal.width)
      end
      if not signal.signed then return value end
      value = Int64.new(value:lower(), value:higher())
      if signal.width == 64 then return value end
      local half = Int64.new(1):lshift(signal.width - 1)
      if value >= half then value = value - half - half end
      return value
    end

    -- The fewest digits that give a number back.
    local function shortest(value)
      if value ~= value then return "nan" end
      if value == math.huge then return "inf" elseif value == -math.huge then return "-inf" end
      if value == floor(value) and math.abs(value) < 1e15 then return format("%.0f", value) end
      for digits = 15, 16 do
        local text = format("%." .. digits .. "g", value)
        if tonumber(text) == value then return text end
      end
      return format("%.17g", value)
    end

    -- IEEE 754 from its bits, without the libraries of one Lua or another.
    local function float_of(bytes, signal)
      local list = {}
      for place = 1, signal.count do
        list[place] = bytes[signal.big and signal.first + place or signal.first + signal.count + 1 - place]
      end
      local sign = list[1] >= 128 and -1 or 1
      local exponent, bias, mantissa, start
      if signal.count == 4 then
        exponent, bias = list[1] % 128 * 2 + floor(list[2] / 128), 127
        mantissa, start = list[2] % 128 / 128, 3
      else
        exponent, bias = list[1] % 128 * 16 + floor(list[2] / 16), 1023
        mantissa, start = list[2] % 16 / 16, 3
      end
      local scale = signal.count == 4 and 1 / 128 or 1 / 16
      for place = start, signal.count do
        scale = scale / 256
        mantissa = mantissa + list[place] * scale
      end
      if exponent == 2 * bias + 1 then return mantissa == 0 and sign * math.huge or 0 / 0 end
      if exponent == 0 then return sign * mantissa * 2 ^ (1 - bias) end
      return sign * (1 + mantissa) * 2 ^ (exponent - bias)
    end

    -- Payload bytes up to the first zero, without trailing blanks.
    local function text_of(bytes, signal)
      local letters = {}
      for place = signal.first + 1, signal.first + signal.count do
        if bytes[place] == 0 then break end
        letters[#letters + 1] = bytes[place]
      end
      while letters[#letters] == 0x20 do letters[#letters] = nil end
      for place, byte in ipairs(letters) do
        letters[place] = byte >= 0x20 and byte < 0x7F and string.char(byte) or format("\\x%02X", byte)
      end
      return table.concat(letters)
    end

    -- A long integer times numerator plus addend, with the point put in by hand: all digits are kept.
    local function wide_scaled(raw, signal)
      if not signal.numerator then
        local value = tonumber(tostring(raw)) * signal.factor + signal.offset
        if signal.factor == 1 and signal.offset == 0 then return value, tostring(raw) end
        return value, shortest(value)
      end
      if not signal.signed then raw = Int64.new(raw:lower(), raw:higher()) end
      local digits = tostring(raw * Int64.new(signal.numerator) + Int64.new(signal.addend))
      if signal.decimals > 0 then
        local sign = digits:sub(1, 1) == "-" and "-" or ""
        digits = digits:sub(#sign + 1)
        digits = ("0"):rep(signal.decimals + 1 - #digits) .. digits
        digits = sign .. digits:sub(1, -signal.decimals - 1) .. "." .. digits:sub(-signal.decimals)
      end
      return tonumber(digits), digits
    end

    -- Raw bits, value for the field, and digits as `linkbms decode` prints them.
    local function read(bytes, signal)
      if signal.text then
        local text = text_of(bytes, signal)
        return 0, text, text
      end
      if signal.float then
        local value = float_of(bytes, signal) * signal.factor + signal.offset
        return 0, value, shortest(value)
      end
      if signal.wide then
        local raw = wide_raw_of(bytes, signal)
        local value, digits = wide_scaled(raw, signal)
        if signal.type == "uint64" or signal.type == "int64" then value = raw end
        return tonumber(tostring(raw)), value, digits
      end
      local raw = signal.short and raw_of(bytes, signal) or tonumber(tostring(wide_raw_of(bytes, signal)))
      if signal.numerator then
        -- A whole number over a power of ten: the nearest double to the exact value, so no digit is made up.
        local value = (raw * signal.numerator + signal.addend) / signal.power
        local digits = format(signal.format, value)
        if signal.type == "uint64" then value = UInt64.new(value) elseif signal.type == "int64" then value = Int64.new(value) end
        return raw, value, digits
      end
      local value = raw * signal.factor + signal.offset
      return raw, value, shortest(value)
    end

    -- Whether the multiplexor has a value with which the signal is there.
    local function is_selected(signal, layout, raws)
      local selector = signal.selector
      if not selector then return true end
      local value = raws[selector[1]]
      if not value then return false end
      if value < 0 then value = value + layout[selector[1]].modulus end
      for index = 2, #selector do
        if value >= selector[index][1] and value <= selector[index][2] then return true end
      end
      return false
    end

    """#

  /// Makes fields and layouts out of the tables, and profiles out of preferences.
  static let profiles = #"""
    -- ==== Tables into fields and layouts ====

    local linkbms = Proto("linkbms", "LinkBMS")
    -- Wireshark tells a dissector the number of an ID but not its width, so 11-bit IDs come through a door of their own.
    local standard_door = Proto("linkbms_11bit", "LinkBMS, 11-bit IDs")

    local field = {
      protocol = ProtoField.string("linkbms.protocol", "Protocol"),
      variant = ProtoField.string("linkbms.variant", "Variant"),
      message = ProtoField.string("linkbms.message", "Message"),
      sender = ProtoField.string("linkbms.sender", "Sender"),
      address = ProtoField.uint8("linkbms.address", "Address"),
      flag = ProtoField.string("linkbms.flag", "Flag"),
      text = ProtoField.string("linkbms.text", "Text"),
    }
    local expert_of = {
      fault = ProtoExpert.new("linkbms.fault", "Fault", expert.group.PROTOCOL, expert.severity.ERROR),
      protection = ProtoExpert.new("linkbms.protection", "Protection", expert.group.PROTOCOL, expert.severity.ERROR),
      alarm = ProtoExpert.new("linkbms.alarm", "Alarm", expert.group.PROTOCOL, expert.severity.WARN),
      warning = ProtoExpert.new("linkbms.warning", "Warning", expert.group.PROTOCOL, expert.severity.WARN),
      notice = ProtoExpert.new("linkbms.notice", "Notice", expert.group.PROTOCOL, expert.severity.NOTE),
      setting = ProtoExpert.new("linkbms.setting", "Preference not understood", expert.group.PROTOCOL, expert.severity.WARN),
      checksum = ProtoExpert.new("linkbms.crc", "CRC wrong", expert.group.CHECKSUM, expert.severity.ERROR),
    }
    local all_fields = {}

    local made = {}
    local function field_for(protocol, message, signal)
      local name = "linkbms." .. protocol.field .. "." .. message.field .. "." .. signal.field
      if not made[name] then
        local made_field
        if signal.type == "double" or signal.type == "string" then
          made_field = ProtoField[signal.type](name, signal.name, signal.about)
        else
          local labels = signal.numerator == 1 and signal.addend == 0 and signal.labels or nil
          if signal.type == "uint64" or signal.type == "int64" then labels = nil end
          made_field = ProtoField[signal.type](name, signal.name, base.DEC, labels, nil, signal.about)
        end
        made[name] = made_field
        all_fields[#all_fields + 1] = made_field
      end
      return made[name]
    end

    local protocol_named = {}
    for _, protocol in ipairs(protocols) do
      protocol_named[protocol.name] = protocol
      for index, message in ipairs(protocol.messages) do
        message.index = index
        for _, signal in ipairs(message.signals) do
          signal.field, signal.type, signal.name, signal.unit = signal[1], signal[2], signal[3], signal[4]
          signal.first, signal.count, signal.shift, signal.width = signal[5], signal[6], signal[7], signal[8]
          signal.numerator, signal.addend, signal.decimals = signal[9], signal[10], signal[11]
          signal.divisor, signal.modulus, signal.half = 2 ^ signal.shift, 2 ^ signal.width, 2 ^ (signal.width - 1)
          signal.needs, signal.short = signal.first + signal.count, signal.count <= 6
          if signal.numerator then signal.power, signal.format = 10 ^ signal.decimals, "%." .. signal.decimals .. "f" end
          signal.protofield = field_for(protocol, message, signal)
          signal.suffix = signal.unit ~= "" and " " .. signal.unit or ""
        end
        for place, layout in ipairs(message.layouts) do
          for order, number in ipairs(layout or {}) do layout[order] = message.signals[number] end
          message.layouts[place] = layout
        end
      end
    end

    -- ==== Profiles: which protocol, variant and readings a bus speaks ====

    -- The message of every ID, for one choice of readings (option numbers from 1).
    local function add_slots(slots, protocol, variant, id_set, choice)
      for _, row in ipairs(protocol.ids[id_set]) do
        local message = protocol.messages[row[1]]
        local place = 0
        for _, dimension in ipairs(message.dimensions) do
          place = place * (#protocol.readings[dimension] - 1) + choice[dimension] - 1
        end
        local layout = message.layouts[place + 1]
        local of_width = row[3] and slots.extended or slots.standard
        for address = row[4] or 0, layout and (row[5] or 0) or -1 do
          local id = row[2] + (address - (row[4] or 0)) * (row[6] or 0)
          if not of_width[id] then
            of_width[id] = {
              protocol = protocol, variant = variant, message = message, layout = layout, address = row[4] and address,
              title = message.name .. (row[4] and "@" .. address or ""), remembered = {}, remembered_count = 0,
            }
          end
        end
      end
    end

    -- "pylontech-hv/pylon-std,byteOrder:big" into slots; a second result says what is not understood.
    local function add_profile(slots, text)
      local name, rest = text:match("^%s*([^/,%s]+)(.-)%s*$")
      if not name or name == "none" then return nil end
      local protocol = protocol_named[name]
      if not protocol then return "no protocol \"" .. name .. "\"" end
      local choice, id_set, variant = {}, 1, nil
      for dimension = 1, #protocol.readings do choice[dimension] = 1 end
      local wanted = rest:match("^/([^,]+)")
      if wanted then
        for _, each in ipairs(protocol.variants) do
          if each[1] == wanted then
            variant, id_set = each[1], each.ids
            for dimension, option in ipairs(each.choice) do choice[dimension] = option end
          end
        end
        if not variant then return name .. " has no variant \"" .. wanted .. "\"" end
      end
      for part in rest:gsub("^/[^,]+", ""):gmatch(",%s*([^,]*)") do
        local reading, option = part:match("^([^:]+):(.-)%s*$")
        local found = false
        for dimension, each in ipairs(protocol.readings) do
          for number = 2, #each do
            if each[1] == reading and each[number] == option then choice[dimension], found = number - 1, true end
          end
        end
        if not found then return name .. " has no reading \"" .. part .. "\"" end
      end
      add_slots(slots, protocol, variant, id_set, choice)
    end

    -- Slots of a bus; nothing, so that the choice is automatic, where a part is not understood.
    local function profile_of(text, problems)
      local slots, before = { extended = {}, standard = {} }, #problems
      for part in text:gmatch("[^&]+") do problems[#problems + 1] = add_profile(slots, part) end
      return #problems == before and slots or nil
    end

    """#
}

extension WiresharkRuntime {
  /// What has to stand last.
  static let end = #"""
    for _, each in pairs(field) do all_fields[#all_fields + 1] = each end
    for _, each in pairs(rule_field) do all_fields[#all_fields + 1] = each end
    linkbms.fields = all_fields
    local all_experts = {}
    for _, each in pairs(expert_of) do all_experts[#all_experts + 1] = each end
    linkbms.experts = all_experts

    """#
}
