/// Records of the PDU and of the controller (link type 148).
enum WiresharkRecords {
  static let code = #"""
    -- ==== The controller's records ====

    field.pdu_kind = ProtoField.string("linkbms.pdu.kind", "Kind")
    field.pdu_current_raw = ProtoField.int32("linkbms.pdu.current_raw", "Current sensor (raw)")
    field.pdu_supply = ProtoField.int32("linkbms.pdu.supply", "Supply (mV)")
    field.pdu_v_in_raw = ProtoField.int32("linkbms.pdu.v_in_raw", "V-in (raw)")
    field.pdu_v_out_raw = ProtoField.int32("linkbms.pdu.v_out_raw", "V-out (raw)")
    field.pdu_contactors = ProtoField.uint8("linkbms.pdu.contactors", "Contactors", base.HEX)
    field.pdu_status = ProtoField.uint8("linkbms.pdu.status", "Status", base.DEC, system_status)
    field.pdu_bms1 = ProtoField.uint8("linkbms.pdu.bms1", "BMS1", base.DEC, chain_status)
    field.pdu_bms2 = ProtoField.uint8("linkbms.pdu.bms2", "BMS2", base.DEC, chain_status)
    field.pdu_marks = ProtoField.uint8("linkbms.pdu.marks", "Marks", base.HEX)
    field.pdu_digital = ProtoField.uint8("linkbms.pdu.digital", "Digital outputs", base.HEX)
    field.pdu_charge_limit = ProtoField.double("linkbms.pdu.charge_limit", "Charge limit")
    field.pdu_discharge_limit = ProtoField.double("linkbms.pdu.discharge_limit", "Discharge limit")
    field.pdu_current = ProtoField.double("linkbms.pdu.current", "Current")
    field.pdu_voltage = ProtoField.double("linkbms.pdu.voltage", "Voltage")
    field.pdu_soc = ProtoField.double("linkbms.pdu.soc", "State of charge")
    field.pdu_charge = ProtoField.double("linkbms.pdu.charge", "Charge")
    field.pdu_cycles = ProtoField.int32("linkbms.pdu.cycles", "Cycles")
    field.pdu_chain = ProtoField.uint8("linkbms.pdu.chain", "Chain")
    field.pdu_modules = ProtoField.uint8("linkbms.pdu.modules", "Modules")
    field.pdu_cells = ProtoField.uint16("linkbms.pdu.cells", "Cells")
    field.pdu_cell = ProtoField.double("linkbms.pdu.cell", "Cell")
    field.pdu_module = ProtoField.double("linkbms.pdu.module", "Module")
    field.pdu_temperature = ProtoField.double("linkbms.pdu.temperature", "Sensor")
    field.pdu_event = ProtoField.string("linkbms.pdu.event", "Event")

    -- A number in thousandths and the like, with its unit.
    local function add_scaled(item, protofield, range, value, decimals, name, unit)
      value = value / 10 ^ decimals
      item:add(protofield, range, value, format("%s: %." .. decimals .. "f %s", name, value, unit))
    end

    local function closed_words(contactors)
      local names = {}
      if contactors % 2 == 1 then names[#names + 1] = "negative" end
      if floor(contactors / 2) % 2 == 1 then names[#names + 1] = "precharge" end
      if floor(contactors / 4) % 2 == 1 then names[#names + 1] = "positive" end
      if #names == 0 then return "all open" end
      return table.concat(names, " + ") .. " closed"
    end

    -- What has a length in front of it: its place and size, and the place behind; nothing if the packet is cut.
    local function counted(tvb, place, width, size)
      if not place or place + width > tvb:len() then return nil end
      local count = tvb:range(place, width):le_uint()
      if place + width + count * size > tvb:len() then return nil end
      return place + width + count * size, place + width, count
    end

    local pdu_reader = {
      [0xC1] = function(tvb, item)
        if tvb:len() ~= 9 then return nil end
        local raw, supply = tvb:range(1, 4):le_int(), tvb:range(5, 4):le_int()
        item:add(field.pdu_current_raw, tvb:range(1, 4), raw)
        item:add(field.pdu_supply, tvb:range(5, 4), supply)
        return format("current sensor %d (raw), supply %d mV", raw, supply)
      end,
      [0xC2] = function(tvb, item)
        if tvb:len() ~= 9 then return nil end
        local voltage_in, voltage_out = tvb:range(1, 4):le_int(), tvb:range(5, 4):le_int()
        item:add(field.pdu_v_in_raw, tvb:range(1, 4), voltage_in)
        item:add(field.pdu_v_out_raw, tvb:range(5, 4), voltage_out)
        return format("V-in %d, V-out %d (raw)", voltage_in, voltage_out)
      end,
      [0xC3] = function(tvb, item)
        if tvb:len() ~= 8 then return nil end
        local contactors, status = tvb:range(1, 1):uint(), tvb:range(2, 1):uint()
        local charge, discharge = tvb:range(4, 2):le_uint(), tvb:range(6, 2):le_uint()
        item:add(field.pdu_contactors, tvb:range(1, 1), contactors, "Contactors: " .. closed_words(contactors))
        item:add(field.pdu_status, tvb:range(2, 1), status)
        add_scaled(item, field.pdu_charge_limit, tvb:range(4, 2), charge, 1, "Charge limit", "A")
        add_scaled(item, field.pdu_discharge_limit, tvb:range(6, 2), discharge, 1, "Discharge limit", "A")
        return format("%s, %s, charge limit %.1f A, discharge limit %.1f A",
          system_status[status] or format("status %d", status), closed_words(contactors), charge / 10, discharge / 10)
      end,
      [1] = function(tvb)
        local place = counted(tvb, 1, 4, 1)
        return counted(tvb, place, 4, 1) and "the controller starts"
      end,
      [2] = function(tvb, item)
        if tvb:len() < 5 then return nil end
        local chain, modules, cells = tvb:range(1, 1):uint(), tvb:range(2, 1):uint(), tvb:range(3, 2):le_uint()
        local place, lists = 5, {}
        for index, size in ipairs({ 2, 4, 2, 1, 1 }) do
          local first, count
          place, first, count = counted(tvb, place, 2, size)
          if not place then return nil end
          lists[index] = { first, count }
        end
        if chain > 1 then return nil end
        item:add(field.pdu_chain, tvb:range(1, 1), chain + 1)
        item:add(field.pdu_modules, tvb:range(2, 1), modules)
        item:add(field.pdu_cells, tvb:range(3, 2), cells)
        for index = 0, lists[1][2] - 1 do
          local range = tvb:range(lists[1][1] + index * 2, 2)
          add_scaled(item, field.pdu_cell, range, range:le_uint(), 4, format("Cell %d", index + 1), "V")
        end
        for index = 0, lists[2][2] - 1 do
          local range = tvb:range(lists[2][1] + index * 4, 4)
          add_scaled(item, field.pdu_module, range, range:le_int(), 3, format("Module %d", index + 1), "V")
        end
        for index = 0, lists[3][2] - 1 do
          local range = tvb:range(lists[3][1] + index * 2, 2)
          local name = format("Module %d T%d", floor(index / 5) + 1, index % 5 + 1)
          add_scaled(item, field.pdu_temperature, range, range:le_int(), 1, name, "°C")
        end
        return format("scan of BMS%d: %d modules, %d cells", chain + 1, modules, cells)
      end,
      [3] = function(tvb, item)
        if tvb:len() < 18 then return nil end
        local place, _, lost = counted(tvb, 18, 2, 1)
        if not place or lost ~= 2 or not counted(tvb, place + 1, 4, 1) then return nil end
        item:add_le(field.pdu_current_raw, tvb:range(2, 4))
        item:add_le(field.pdu_v_in_raw, tvb:range(6, 4))
        item:add_le(field.pdu_v_out_raw, tvb:range(10, 4))
        item:add_le(field.pdu_supply, tvb:range(14, 4))
        return "what a step was given"
      end,
      [4] = function(tvb, item)
        if tvb:len() < 36 or not counted(tvb, 36, 2, 2) then return nil end
        item:add(field.pdu_status, tvb:range(1, 1))
        item:add(field.pdu_bms1, tvb:range(2, 1))
        item:add(field.pdu_bms2, tvb:range(3, 1))
        local contactors = tvb:range(4, 1):uint()
        item:add(field.pdu_contactors, tvb:range(4, 1), contactors, "Contactors: " .. closed_words(contactors))
        item:add(field.pdu_marks, tvb:range(5, 1))
        item:add(field.pdu_digital, tvb:range(6, 1))
        local rows = {
          { field.pdu_charge_limit, 3, "Charge limit", "A" }, { field.pdu_discharge_limit, 3, "Discharge limit", "A" },
          { field.pdu_current, 3, "Current", "A" }, { field.pdu_voltage, 3, "Voltage", "V" },
          { field.pdu_soc, 2, "State of charge", "%" }, { field.pdu_charge, 3, "Charge", "Ah" },
        }
        for index, row in ipairs(rows) do
          local range = tvb:range(4 + index * 4, 4)
          add_scaled(item, row[1], range, range:le_int(), row[2], row[3], row[4])
        end
        item:add_le(field.pdu_cycles, tvb:range(32, 4))
        return "what the step decided"
      end,
      [5] = function(tvb, item)
        local place, first, count = counted(tvb, 1, 4, 1)
        if not place then return nil end
        local text = count > 0 and tvb:raw(first, count) or ""
        item:add(field.pdu_event, tvb:range(first, count), text)
        return text
      end,
    }
    local pdu_kind = {
      [0xC1] = "current", [0xC2] = "voltages", [0xC3] = "outputs", "start", "scan", "input", "output", "event",
    }

    local pdu_door = Proto("linkbms_pdu", "LinkBMS, controller")
    local before_pdu = user_table:get_dissector(encapsulations.USER1)

    function pdu_door.dissector(tvb, pinfo, tree)
      local length = tvb:len()
      local kind = length > 0 and tvb:range(0, 1):uint()
      local reader = pdu_reader[kind]
      if not reader then return before_pdu and before_pdu:call(tvb, pinfo, tree) or 0 end
      local item = tree:add(linkbms, tvb:range(0, length), "LinkBMS")
      item:add(field.pdu_kind, tvb:range(0, 1), pdu_kind[kind])
      local text = reader(tvb, item)
      item:set_text("LinkBMS: " .. (text or "cut record"))
      if text then item:add(field.text, text):set_generated() end
      pinfo.cols.protocol = "LinkBMS"
      pinfo.cols.info = text or "cut record"
      return length
    end
    user_table:add(encapsulations.USER1, pdu_door)

    """#
}
