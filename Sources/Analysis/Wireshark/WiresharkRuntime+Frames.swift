extension WiresharkRuntime {
  /// The choice of a profile for a frame: told by preference, or by what is seen.
  static let choosing = #"""
    local profile_names = { "automatic" }
    for _, protocol in ipairs(protocols) do
      if #protocol.variants == 0 then profile_names[#profile_names + 1] = protocol.name end
      for _, variant in ipairs(protocol.variants) do profile_names[#profile_names + 1] = protocol.name .. "/" .. variant[1] end
    end
    local profile_rows, default_row = {}, 1
    for index, name in ipairs(profile_names) do
      profile_rows[index] = { index, name, index }
      if name == default_profile then default_row = index end
    end
    linkbms.prefs.profile = Pref.enum(
      "Protocol/variant", default_row,
      "What the buses speak. Automatic: by the IDs and contents seen, in the protocol's first variant.", profile_rows, false)
    linkbms.prefs.buses = Pref.string(
      "Buses", default_buses,
      "By bus, over the protocol/variant above: can0=pylontech-hv/pylon-std,byteOrder:big; can1=sofar & goodwe; can2=none; *=sofar")

    -- Candidates of the automatic choice: each protocol under each set of IDs it has, in the first variant that has them.
    local candidates = { extended = {}, standard = {} }
    for order, protocol in ipairs(protocols) do
      for id_set = 1, #protocol.ids do
        local choice, variant = {}, nil
        for dimension = 1, #protocol.readings do choice[dimension] = 1 end
        for _, each in ipairs(protocol.variants) do
          if not variant and each.ids == id_set then variant, choice = each[1], each.choice end
        end
        local candidate = { order = order * 100 + id_set, protocol = protocol, slots = { extended = {}, standard = {} } }
        add_slots(candidate.slots, protocol, variant, id_set, choice)
        for width, slots in pairs(candidate.slots) do
          for id in pairs(slots) do
            candidates[width][id] = candidates[width][id] or {}
            table.insert(candidates[width][id], candidate)
          end
        end
      end
    end

    -- Whether a frame keeps what a piece of evidence asks of its raw values and length.
    local function keeps(evidence, slot, bytes, length)
      if evidence.length and length ~= evidence.length then return false end
      for name, values in pairs(evidence.when or {}) do
        local found = false
        for _, signal in ipairs(slot.layout) do
          if signal.name == name and length >= signal.first + signal.count then
            local raw = read(bytes, signal)
            for _, value in ipairs(values) do found = found or raw == value end
          end
        end
        if not found then return false end
      end
      return true
    end

    -- Evidence counts once a message: from the frame that shows it, until a frame refutes it.
    local function weigh(state, slot, bytes, length, payload)
      state.frames = state.frames + 1
      for index, evidence in ipairs(slot.protocol.evidence) do
        if evidence.messages[slot.message.name] then
          local key = index * 1000 + slot.message.index
          local verdict = state.verdicts[key]
          if verdict ~= "refuted" then
            if not keeps(evidence, slot, bytes, length) then
              if verdict then state.weight = state.weight - evidence.weight end
              state.verdicts[key] = "refuted"
            elseif not verdict and (not evidence.text or payload:find(evidence.text, 1, true)) then
              state.verdicts[key] = "counted"
              state.weight = state.weight + evidence.weight
            end
          end
        end
      end
    end

    local function confidence(state, protocol)
      if state.weight <= 0 then return 0 end
      if state.weight < protocol.needs then return 0.45 * state.weight / protocol.needs end
      return math.min(0.99, 0.5 + 0.49 * (state.weight - protocol.needs) / math.max(protocol.certain - protocol.needs, 0.001))
    end

    local seen_on = {}
    local function automatic(bus, width, id, tvb, length, is_first)
      local list = candidates[width][id]
      if not list then return nil end
      local states = seen_on[bus]
      if not states then
        states = {}
        seen_on[bus] = states
      end
      local bytes = is_first and bytes_of(tvb, length)
      local payload = is_first and length > 0 and tvb:raw(0, length) or ""
      local best, best_state, best_sure
      for _, candidate in ipairs(list) do
        local state = states[candidate]
        if not state then
          state = { weight = 0, frames = 0, verdicts = {} }
          states[candidate] = state
        end
        if is_first then weigh(state, candidate.slots[width][id], bytes, length, payload) end
        local sure = confidence(state, candidate.protocol)
        if not best or sure > best_sure or (sure == best_sure and state.frames > best_state.frames) then
          best, best_state, best_sure = candidate, state, sure
        end
      end
      return best.slots[width][id]
    end

    local interface_name = Field.new("frame.interface_name")
    local remote_flag = Field.new("can.flags.rtr")

    local by_bus, has_buses, for_all, problems
    local function settle()
      by_bus, has_buses, for_all, problems = {}, false, nil, {}
      local chosen = profile_names[linkbms.prefs.profile]
      if chosen and chosen ~= "automatic" then for_all = profile_of(chosen, problems) end
      for part in linkbms.prefs.buses:gmatch("[^;]+") do
        local bus, text = part:match("^%s*(.-)%s*=%s*(.-)%s*$")
        if not bus then
          problems[#problems + 1] = "\"" .. part .. "\" is not BUS=PROTOCOL/VARIANT"
        elseif bus == "*" then
          for_all = profile_of(text, problems)
        else
          by_bus[bus], has_buses = profile_of(text, problems), true
        end
      end
    end
    function linkbms.prefs_changed() by_bus = nil end
    function linkbms.init() seen_on = {} end

    """#

  /// The dissector of CAN frames.
  static let frames = #"""
    -- ==== CAN frames ====

    -- Everything that a payload says under a slot: signals with values and words, and the line for the packet list.
    local function decode(slot, payload, length)
      local bytes = length > 0 and { payload:byte(1, length) } or {}
      local decoded, info = {}, { slot.title }
      local layout = slot.layout
      local raws = slot.message.multiplexed and {}
      for order = 1, #layout do
        local signal = layout[order]
        if length >= signal.needs and (not raws or is_selected(signal, layout, raws)) then
          local raw, value, digits = read(bytes, signal)
          if raws then raws[order] = raw end
          local label = signal.labels and signal.labels[raw]
          local text = label and label .. " (" .. digits .. signal.suffix .. ")" or digits .. signal.suffix
          local part = { signal = signal, value = value, text = signal.name .. ": " .. text }
          decoded[#decoded + 1] = part
          local flag = signal.flag
          if not flag then
            info[#info + 1] = signal.name .. " " .. (label or text)
          elseif flag.values and flag.values[raw] or not flag.values and raw ~= 0 then
            part.words = flag[1] .. ": " .. flag[2]
            decoded.has_flags = true
            info[#info + 1] = "! " .. part.words
          end
        end
      end
      decoded.info = table.concat(info, "  ")
      return decoded
    end

    -- A battery says the same many times a minute: payloads seen are remembered, up to a number.
    local most_remembered = 500
    local function remembered(slot, payload, length)
      local decoded = slot.remembered[payload]
      if decoded then return decoded end
      if slot.remembered_count >= most_remembered then slot.remembered, slot.remembered_count = {}, 0 end
      decoded = decode(slot, payload, length)
      slot.remembered[payload], slot.remembered_count = decoded, slot.remembered_count + 1
      return decoded
    end

    local own_dissector
    local function fill(tvb, tree, slot, decoded, length)
      -- Without a visible tree only what a filter or a column asks for is added: the rest would cost and show nothing.
      local is_visible = tree.visible
      if not is_visible and not decoded.has_flags and #problems == 0 and not tree:referenced(own_dissector) then return end
      local message = slot.message
      local item = tree:add(linkbms, tvb:range(0, length), "LinkBMS: " .. slot.title)
      local function add(protofield, value)
        if value and (is_visible or tree:referenced(protofield)) then item:add(protofield, value):set_generated() end
      end
      add(field.protocol, slot.protocol.name)
      add(field.variant, slot.variant)
      add(field.message, message.name)
      add(field.sender, message.sender)
      add(field.address, slot.address)
      for _, problem in ipairs(problems) do item:add_proto_expert_info(expert_of.setting, "linkbms preferences: " .. problem) end
      -- Bits of one byte share its range.
      local first, count, range
      for index = 1, #decoded do
        local part = decoded[index]
        local signal = part.signal
        if is_visible or part.words or tree:referenced(signal.protofield) then
          if signal.first ~= first or signal.count ~= count then
            first, count = signal.first, signal.count
            range = tvb:range(first, count)
          end
          local added = item:add(signal.protofield, range, part.value, part.text)
          if part.words then
            item:add(field.flag, range, part.words)
            added:add_proto_expert_info(expert_of[signal.flag[1]], part.words)
          end
        end
      end
    end

    local function dissect(tvb, pinfo, tree, width)
      local length = tvb:len()
      if length == 0 then
        local remote = remote_flag()
        if remote and remote.value then return 0 end
      end
      if not by_bus then settle() end
      local id = pinfo.match_uint
      local profile, bus = for_all, ""
      if has_buses or not for_all then
        local name = interface_name()
        bus = name and name.value or ""
        profile = by_bus[bus] or for_all
      end
      local slot
      if profile then
        slot = profile[width][id]
      else
        slot = automatic(bus, width, id, tvb, length, not pinfo.visited)
      end
      if not slot then return 0 end
      local decoded = remembered(slot, length > 0 and tvb:raw(0, length) or "", length)
      fill(tvb, tree, slot, decoded, length)
      pinfo.cols.protocol = slot.protocol.name
      pinfo.cols.info = decoded.info
      return length > 0 and length or 1
    end

    function linkbms.dissector(tvb, pinfo, tree) return dissect(tvb, pinfo, tree, "extended") end
    function standard_door.dissector(tvb, pinfo, tree) return dissect(tvb, pinfo, tree, "standard") end

    own_dissector = Dissector.get("linkbms")
    local extended_ids, standard_ids = DissectorTable.get("can.extended_id"), DissectorTable.get("can.id")
    for id in pairs(candidates.extended) do extended_ids:add(id, linkbms) end
    for id in pairs(candidates.standard) do standard_ids:add(id, standard_door) end

    """#
}
