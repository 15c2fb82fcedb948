%% Runs inside a private node, as a script and not as a module: evaluates the expressions that
%% arrive on a Unix socket in the node's directory, which only its owner can enter, and answers
%% in JSON. Requests and answers are preceded by their length; one of each in a connection.

Evaluate = fun(Expression) ->
    try
        {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Expression) ++ "."),
        {ok, Parsed} = erl_parse:parse_exprs(Tokens),
        {value, Value, _} = erl_eval:exprs(Parsed, []),
        rabbit_json:encode(#{value => Value})
    catch
        Class:Reason ->
            Said = io_lib:format("~p ~p", [Class, Reason]),
            rabbit_json:encode(#{error => unicode:characters_to_binary(Said)})
    end
end,

Answer = fun(Client) ->
    case gen_tcp:recv(Client, 0) of
        {ok, Expression} -> gen_tcp:send(Client, Evaluate(Expression));
        {error, closed} -> nobody_asks
    end,
    gen_tcp:close(Client)
end,

Serve = fun Loop(Listener) ->
    {ok, Client} = gen_tcp:accept(Listener),
    spawn(fun() -> Answer(Client) end),
    Loop(Listener)
end,

spawn(fun() ->
    file:delete("control.socket"), %% left by a node that was killed
    Options = [binary, {packet, 4}, {active, false}, {ifaddr, {local, "control.socket"}}],
    {ok, Listener} = gen_tcp:listen(0, Options),
    Serve(Listener)
end).
