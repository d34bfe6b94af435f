extension WiresharkChain {
  /// The dissector of chains.
  static let code = #"""
    field.chain_number = ProtoField.uint8("linkbms.chain.number", "Chain")
    field.chain_kind = ProtoField.string("linkbms.chain.kind", "Kind")
    field.chain_bits = ProtoField.uint8("linkbms.chain.bits", "Bits clocked")
    field.chain_duration = ProtoField.uint32("linkbms.chain.duration", "Duration (ns)")
    field.chain_generation = ProtoField.string("linkbms.chain.generation", "Generation")
    field.chain_node = ProtoField.uint8("linkbms.chain.node", "Node")
    field.chain_command = ProtoField.string("linkbms.chain.command", "Command")
    field.chain_register = ProtoField.uint8("linkbms.chain.register", "Register", base.HEX, register_name)
    field.chain_data = ProtoField.uint16("linkbms.chain.data", "Data", base.HEX)
    field.chain_tag = ProtoField.uint8("linkbms.chain.tag", "Tag")
    field.chain_counter = ProtoField.uint8("linkbms.chain.counter", "Counter")
    field.chain_crc = ProtoField.uint8("linkbms.chain.crc", "CRC", base.HEX)
    field.chain_intact = ProtoField.bool("linkbms.chain.intact", "CRC fits")

    local rules_of, rule_field = {}, {}
    for _, group in ipairs(register_rules) do
      for register = group[1], group[2] do rules_of[register] = group[3] end
      for _, rule in ipairs(group[3]) do
        rule_field[rule.field] = rule_field[rule.field] or ProtoField[rule.type]("linkbms.chain." .. rule.field, rule[1])
      end
    end

    -- Digits without zeros at their end: what `linkbms chain` prints.
    local function trimmed(value, decimals)
      local text = format("%." .. decimals .. "f", value)
      return (text:gsub("0+$", ""):gsub("%.$", ""))
    end

    local function bits_in(value, count, name)
      local names = {}
      for place = 0, count - 1 do
        if floor(value / 2 ^ place) % 2 == 1 then names[#names + 1] = name(place) end
      end
      return table.concat(names, ",")
    end

    local function towards_zero(value) return value < 0 and -floor(-value) or floor(value) end

    -- Tenths of a degree of a sensor behind a pull-up of 10 kOhm.
    local function thermistor(code)
      code = math.max(1, math.min(32767, code))
      local ratio = 10000 * code / (32768 - code) / sensor_resistance
      local kelvin = 1 / (1 / 298.15 + math.log(ratio) / sensor_beta)
      local tenths = (kelvin - 273.15) * 10
      if not (tenths < 32767 and tenths > -2731.6) then return kelvin > 0 and 32767 or -2731 end
      return towards_zero(tenths < 0 and tenths - 0.5 or tenths + 0.5)
    end

    -- By kind: the value and its digits, or nothing where there is nothing to say.
    local meaning = {
      number = function(data, rule)
        local value = floor(data / rule[4]) % rule[5] + rule[6]
        return value, format("%.0f", value)
      end,
      timeout = function(data, rule)
        local value = 32 * 2 ^ (floor(data / rule[4]) % 4)
        return value, format("%.0f", value)
      end,
      bit = function(data, rule)
        if floor(data / rule[4]) % 2 == 1 then return 1, "1" end
      end,
      cells = function(data, rule)
        local text = bits_in(data % 0x4000, 14, function(place) return format("%d", place + 1) end)
        if text ~= "" or rule[4] then return text, text end
      end,
      inputs = function(data, rule)
        local text = bits_in(floor(data / rule[4]) % 0x80, 7, function(place) return format("AN%d", place) end)
        if text ~= "" then return text, text end
      end,
      timer = function(data)
        local minutes = data % 0x200
        if minutes == 0 then return 0.5, "0.5" end
        return minutes, format("%.0f", minutes)
      end,
      not_ready = function(data)
        if data < 0x8000 then return 0, "0" end
      end,
      stack = function(data)
        local value = floor((data % 0x8000 * 80000 + 16384) / 32768) / 1000
        return value, trimmed(value, 3)
      end,
      cell = function(data)
        local value = floor((data % 0x8000 * 50000 + 16384) / 32768) / 10000
        return value, trimmed(value, 4)
      end,
      threshold = function(data, rule)
        local value = floor(floor(data / rule[4]) % 0x100 * 6250 / 32) / 10000
        return value, trimmed(value, 4)
      end,
      thermistor = function(data)
        local value = thermistor(data % 0x8000) / 10
        return value, trimmed(value, 1)
      end,
      sensor = function(data)
        local code = data % 0x8000
        local state = code >= 0x7F00 and "open" or code < 300 and "shorted" or nil
        return state, state
      end,
      chip = function(data)
        local value = towards_zero((data % 0x8000 * 32 - 273150) / 100) / 10
        return value, trimmed(value, 1)
      end,
    }

    -- Exclusive or of two bytes: Lua 5.2 and 5.4 have no operator in common.
    local function exclusive_or(one, other)
      local result, place = 0, 1
      for _ = 1, 8 do
        if one % 2 ~= other % 2 then result = result + place end
        one, other, place = floor(one / 2), floor(other / 2), place * 2
      end
      return result
    end
    local crc_step = {}
    for byte = 0, 255 do
      local register = byte
      for _ = 1, 8 do
        register = register >= 128 and exclusive_or(register * 2 % 256, 0x2F) or register * 2
      end
      crc_step[byte] = register
    end
    local function crc_over(bytes, first, last)
      local register = 0x42
      for place = first, last do register = crc_step[exclusive_or(register, bytes[place])] end
      return register
    end

    local kind_name = { [0] = "request", "echo", "answer", "wake" }
    local command_name = { [0] = "NOP", "READ", "WRITE", "WRITE ALL" }

    local function dissect_chain_frame(tvb, item, bytes, kind)
      local last = #bytes
      local is_b = last == 13
      local data = bytes[9] * 256 + bytes[10]
      local is_answer, register = bytes[11] >= 128, bytes[11] % 128
      local node = is_b and floor(bytes[12] / 16) or bytes[12] % 64
      local nibble, command = bytes[last - 1] % 16, bytes[last - 1] % 4
      local expected = crc_over(bytes, 9, last - 1)
      local intact = bytes[last] == expected
      item:add(field.chain_generation, is_b and "B" or "C"):set_generated()
      item:add(field.chain_data, tvb:range(8, 2), data)
      item:add(field.chain_register, tvb:range(10, 1), register)
      item:add(field.chain_node, tvb:range(11, 1), node)
      local fields = {}
      if kind ~= 2 then item:add(field.chain_command, tvb:range(last - 2, 1), command_name[command]) end
      if not is_b then item:add(field.chain_counter, tvb:range(12, 1), floor(bytes[13] / 16)) end
      if kind == 2 or command ~= 1 then
        for _, rule in ipairs(rules_of[register] or {}) do
          local applies = (rule.generation or is_b and "B" or "C") == (is_b and "B" or "C")
          if rule.answer ~= nil and rule.answer ~= is_answer then applies = false end
          if applies then
            local value, digits = meaning[rule[3]](data, rule)
            if value then
              local suffix = rule[2] ~= "" and " " .. rule[2] or ""
              item:add(rule_field[rule.field], tvb:range(8, 2), value, rule[1] .. ": " .. digits .. suffix)
              fields[#fields + 1] = rule[1] .. "=" .. digits .. suffix
            end
          end
        end
      end
      local part = item:add(field.chain_crc, tvb:range(last - 1, 1), bytes[last])
      item:add(field.chain_intact, tvb:range(last - 1, 1), intact):set_generated()
      if not intact then
        part:add_proto_expert_info(expert_of.checksum, format("CRC wrong: found %02X, expected %02X", bytes[last], expected))
      end

      local name = register_name[register] or format("0x%02X", register)
      local who = node == 0 and "unassigned node" or format("node %d", node)
      local values = table.concat(fields, " ")
      local text
      if kind == 2 then
        local is_null = intact and data == 0 and register == 0 and node == 0 and nibble == 0 and not is_answer
        text = format("%s %s = 0x%04X %s", who, name, data, values):gsub(" +$", "")
        if is_b and has_tag[register] then
          item:add(field.chain_tag, tvb:range(last - 2, 1), nibble)
          text = text .. format(" (tag %d)", nibble)
        end
        if is_null then text = "null answer" end
      elseif command == 0 then
        text = who .. " NOP"
      elseif command == 1 then
        text = who .. " READ " .. name .. (data > 1 and format(" × %d", data) or "")
      else
        text = format("%s WRITE %s = 0x%04X %s", command == 2 and who or "all nodes", name, data, values):gsub(" +$", "")
      end
      if kind == 1 then text = "echo: " .. text end
      if not intact then text = text .. format("  CRC WRONG: found %02X, expected %02X", bytes[last], expected) end
      return text
    end

    local chain_door = Proto("linkbms_chain", "LinkBMS, LinkSlave chain")
    local user_table = DissectorTable.get("wtap_encap")
    local encapsulations = wtap_encaps or wtap or { USER0 = 45, USER1 = 46 }
    local before_chain = user_table:get_dissector(encapsulations.USER0)

    function chain_door.dissector(tvb, pinfo, tree)
      local length = tvb:len()
      local bytes = bytes_of(tvb, length)
      -- User link types are anybody's: what is not ours goes where it went before.
      if length < 8 or bytes[1] ~= 1 then return before_chain and before_chain:call(tvb, pinfo, tree) or 0 end
      local kind, bits = bytes[3] % 4, bytes[4]
      local item = tree:add(linkbms, tvb:range(0, length), "LinkBMS")
      item:add(field.chain_number, tvb:range(1, 1), bytes[2])
      item:add(field.chain_kind, tvb:range(2, 1), kind_name[kind])
      item:add(field.chain_bits, tvb:range(3, 1), bits)
      item:add(field.chain_duration, tvb:range(4, 4), tvb:range(4, 4):uint())
      local text
      if kind == 3 then
        text = "wake pulse"
      elseif (bits == 40 or bits == 48) and length == 8 + bits / 8 then
        text = dissect_chain_frame(tvb, item, bytes, kind)
      else
        text = format("malformed: %d bits, expected 40 or 48", bits)
      end
      item:set_text(format("LinkBMS: chain %d, %s", bytes[2], text))
      item:add(field.text, text):set_generated()
      pinfo.cols.protocol = "LinkSlave"
      pinfo.cols.info = text
      return length
    end
    user_table:add(encapsulations.USER0, chain_door)

    """#
}
